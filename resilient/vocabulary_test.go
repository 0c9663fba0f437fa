package resilient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultClassifyKnowsContractNetAndOsErrors(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	for want, errs := range map[Class][]error{
		OK:      {nil},
		Missing: {ErrNotFound, fmt.Errorf("x: %w", ErrNotFound), foreign{}, &missing{err: errBroken}},
		Invalid: {ErrEmptyKey, ErrInvalidKey, ErrKeyTooLarge, ErrValueTooLarge, &Error{Class: Invalid, Err: errBroken}},
		Refused: {
			ErrRefused, ErrBusy, ErrClosed, dial, &net.DNSError{Err: "no such host"}, syscall.ECONNREFUSED, syscall.ENOSPC, syscall.EROFS,
			&os.PathError{Op: "open", Path: "/x", Err: errBroken}, os.ErrPermission, &Error{Class: Refused, Err: errBroken},
		},
		Conflict: {&Error{Op: OpSet, Class: Conflict, Err: errBroken}},
		Failed: {
			ErrUnavailable, ErrAmbiguous, errBroken, io.EOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, os.ErrDeadlineExceeded,
			fmt.Errorf("%w: %w", ErrAmbiguous, ErrClosed), &Error{Op: OpSet, Class: Canceled, Attempts: 1, Err: errBroken},
			&Error{Op: OpSet, Class: Failed, Err: errBroken}, errors.Join(ErrRefused, ErrAmbiguous), errors.Join(ErrInvalidKey, ErrAmbiguous),
		},
	} {
		for _, err := range errs {
			require.Equal(t, want, DefaultClassify(err), "%v", err)
		}
	}
}

func TestAnErrorMatchesTheSentinelsOfItsClassAndOperation(t *testing.T) {
	type row struct{ unavailable, refused, ambiguous bool }
	for class, want := range map[Class]map[Op]row{
		Invalid:  {OpGet: {}, OpSet: {}},
		Canceled: {OpGet: {}, OpSet: {true, false, true}},
		Conflict: {OpGet: {true, true, false}, OpSet: {true, true, false}},
		Refused:  {OpGet: {true, true, false}, OpSet: {true, true, false}},
		Failed:   {OpGet: {true, false, false}, OpSet: {true, false, true}, OpBatchDelete: {true, false, true}},
	} {
		for op, row := range want {
			err := fmt.Errorf("above: %w", &Error{Op: op, Store: "s", Class: class, Attempts: 1, Err: errBroken})
			require.Equal(t, row.unavailable, errors.Is(err, ErrUnavailable), "%v", err)
			require.Equal(t, row.refused, errors.Is(err, ErrRefused), "%v", err)
			require.Equal(t, row.ambiguous, errors.Is(err, ErrAmbiguous), "%v", err)
			require.ErrorIs(t, err, errBroken)
		}
	}
	require.NotErrorIs(t, &Error{Op: OpSet, Class: Canceled, Err: errBroken}, ErrAmbiguous, "it never left")
	require.ErrorIs(t, ErrBusy, ErrRefused)
	require.ErrorIs(t, ErrRefused, ErrUnavailable)
	require.ErrorIs(t, ErrAmbiguous, ErrUnavailable)
}

func TestEveryWordHasAName(t *testing.T) {
	for _, words := range [][]fmt.Stringer{
		{OK, Missing, Invalid, Canceled, Conflict, Refused, Failed},
		{OpGet, OpSet, OpDelete, OpList, OpBatchGet, OpBatchSet, OpBatchDelete, OpHealth},
		{KindCall, KindDone, KindProbe, KindChange, KindSwitch, KindOwed, KindHandedBack, KindStale, KindLost},
		{Unknown, Up, Degraded, Down},
	} {
		seen := map[string]bool{}
		for _, w := range words {
			require.NotEmpty(t, w.String())
			require.False(t, seen[w.String()], "%s", w)
			seen[w.String()] = true
		}
	}
	require.Equal(t, "unknown", Class(99).String()+Op(99).String()[7:]+Kind(99).String()[7:]+Condition(99).String()[7:])
	require.Equal(t, "set on s: failed: broken pipe, more or less", (&Error{Op: OpSet, Store: "s", Class: Failed, Attempts: 1, Err: errBroken}).Error())
}

func TestTeeTellsEachObserverInOrderWhateverTheOthersDo(t *testing.T) {
	first, second := &recorder{}, &recorder{}
	panics := observer(func(context.Context, Event) { panic("observer") })
	Tee(first, nil, panics, second).Observe(t.Context(), Event{Kind: KindLost})
	require.Len(t, first.of(KindLost), 1)
	require.Len(t, second.of(KindLost), 1)
	Tell(t.Context(), nil, Event{})
}
