package breaker

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("down")

// mustNew returns a Breaker that is closed at the end of the test.
func mustNew(tb testing.TB, cfg Config) *Breaker {
	tb.Helper()
	b, err := New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(b.Close)
	return b
}

// inBubble runs f in a bubble, where time moves only when all wait.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass waits d and until what was due by then is done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// call makes a call that ends at once; it has to be let through.
func call(tb testing.TB, b *Breaker, o Outcome) {
	tb.Helper()
	p := allow(tb, b)
	p.Done(o, errDown)
}

func allow(tb testing.TB, b *Breaker) Permit {
	tb.Helper()
	p, err := b.Allow()
	require.NoError(tb, err)
	return p
}

func refused(tb testing.TB, b *Breaker) *OpenError {
	tb.Helper()
	_, err := b.Allow()
	require.ErrorIs(tb, err, ErrOpen)
	var open *OpenError
	require.ErrorAs(tb, err, &open)
	return open
}

// openByCalls fails calls until b is open.
func openByCalls(tb testing.TB, b *Breaker) {
	tb.Helper()
	for range b.m.cfg.Failures {
		call(tb, b, Failure)
	}
	require.Equal(tb, Open, b.State())
}

// openByChecks fails health checks until b is open.
func openByChecks(tb testing.TB, b *Breaker) {
	tb.Helper()
	for range b.m.cfg.Fall {
		b.ReportHealth(errDown)
	}
	require.Equal(tb, Open, b.State())
}

// recorder keeps what OnChange is told.
type recorder struct {
	mu      sync.Mutex
	changes []Change
}

func (r *recorder) add(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
}

func (r *recorder) all() []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

func (r *recorder) reasons() []string {
	var out []string
	for _, c := range r.all() {
		out = append(out, c.Reason)
	}
	return out
}
