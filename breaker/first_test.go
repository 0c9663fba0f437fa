package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errDown = errors.New("down")

func call(tb testing.TB, b *Breaker, o Outcome) {
	tb.Helper()
	p, err := b.Allow()
	require.NoError(tb, err)
	p.Done(o, errDown)
}

func TestCallsInARowOpenItAndTrialCallsCloseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Change
		b, err := New(Config{OnChange: func(c Change) { told = append(told, c) }})
		require.NoError(t, err)
		defer b.Close()
		for range 5 {
			require.Equal(t, Closed, b.State())
			call(t, b, Failure)
		}
		require.Equal(t, Open, b.State())
		_, err = b.Allow()
		require.ErrorIs(t, err, ErrOpen)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
		require.Len(t, told, 3)
		require.Equal(t, "5 failed calls in a row", told[0].Reason)
		require.Equal(t, "open time over", told[1].Reason)
		require.Equal(t, "2 good trial calls", told[2].Reason)
	})
}
