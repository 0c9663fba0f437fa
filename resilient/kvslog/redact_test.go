package kvslog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// sqlError is an error as SQL drivers make them.
type sqlError struct{ state string }

func (e *sqlError) Error() string    { return "canary at host canary" }
func (e *sqlError) SQLState() string { return e.state }

// evil is an error whose methods panic.
type evil struct{}

func (*evil) Error() string { return "canary" }
func (*evil) Unwrap() error { panic("canary") }

// self is an error that wraps itself.
type self struct{}

func (s *self) Error() string { return "canary" }
func (s *self) Unwrap() error { return s }

// hollow is an error that wraps nothing.
type hollow struct{}

func (hollow) Error() string { return "canary" }
func (hollow) Unwrap() error { return nil }

func TestS10_OfAnErrorOnlyWhatHoldsNoDataIsWritten(t *testing.T) {
	canary := errors.New("canary")
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Err: os.NewSyscallError("canary", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{
		"":                                       nil,
		"*errors.errorString":                    canary,
		"holdfast: timeout: *errors.errorString": &resilient.Error{Err: fmt.Errorf("canary: %w: %w", resilient.ErrTimeout, canary)},
		"dial: connection refused":               fmt.Errorf("canary: %w", dial),
		"net: EOF":                               &net.OpError{Op: "canary", Err: io.EOF},
		"SQLSTATE 40001":                         fmt.Errorf("canary: %w", &sqlError{"40001"}),
		"*kvslog_test.sqlError":                  &sqlError{"canar"},
		"holdfast: the store panicked with a string": &resilient.PanicError{Value: "canary"},
		"context deadline exceeded":                  fmt.Errorf("canary: %w", context.DeadlineExceeded),
		"no space left on device":                    &os.PathError{Op: "canary", Path: "canary", Err: syscall.ENOSPC},
		"*kvslog_test.evil":                          &evil{},
		"kvslog_test.hollow":                         hollow{},
		"EOF: unexpected EOF: context canceled: holdfast: store is closed": errors.Join(io.EOF, io.ErrUnexpectedEOF, context.Canceled, resilient.ErrClosed, canary),
		"holdfast: too many calls in flight":                               &resilient.Error{Err: resilient.ErrBusy},
		"breaker: open":                                                    &breaker.OpenError{Reason: "canary"},
	} {
		e := resilient.Event{Kind: resilient.KindLost, Err: err}
		got := strings.Join(lines(t, slog.LevelDebug, e), "")
		if want == "" {
			require.NotContains(t, got, "error=")
			continue
		}
		require.NotContains(t, got, "canary")
		_, said, _ := strings.Cut(got, "error=")
		require.Equal(t, want, strings.Trim(said, `"`))
	}
	for _, err := range []error{&self{}, &sqlError{"canary"}, &sqlError{"CANARY"}} {
		require.NotContains(t, strings.ToLower(lines(t, slog.LevelDebug, resilient.Event{Kind: resilient.KindLost, Err: err})[0]), "canary")
	}
}
