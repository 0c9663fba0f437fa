package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAGateIsEmptyWhenTheLastCallHasLeft(t *testing.T) {
	g := NewGate()
	require.NoError(t, g.Enter())
	require.NoError(t, g.Enter())
	g.Leave()
	require.False(t, isClosed(g.IsShut()))

	require.True(t, g.Shut())
	require.False(t, g.Shut(), "the second is not the first")
	require.True(t, isClosed(g.IsShut()))
	require.ErrorIs(t, g.Enter(), resilient.ErrClosed)
	require.False(t, isClosed(g.Empty()), "one call is still inside")
	g.Leave()
	require.True(t, isClosed(g.Empty()))
	require.ErrorIs(t, g.Enter(), resilient.ErrClosed)
}

func TestAGateThatNobodyEnteredIsEmptyAtOnce(t *testing.T) {
	g := NewGate()
	g.Shut()
	require.True(t, isClosed(g.Empty()))
}

func TestNobodyIsInsideAnEmptyGate(t *testing.T) {
	for range 200 {
		var (
			g      = NewGate()
			inside atomic.Int64
			all    sync.WaitGroup
		)
		for range 4 {
			all.Go(func() {
				for g.Enter() == nil {
					inside.Add(1)
					inside.Add(-1)
					g.Leave()
				}
			})
		}
		g.Shut()
		<-g.Empty()
		require.Zero(t, inside.Load())
		all.Wait()
	}
}

func TestADiskKeepsItsFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	disk := func(floor, free int64, err error) *Disk {
		d, newErr := NewDisk(path, info, floor)
		require.NoError(t, newErr)
		d.free = func(string) (int64, error) { return free, err }
		return d
	}
	for name, c := range map[string]struct {
		disk     *Disk
		incoming int64
		ok       bool
	}{
		"above":                        {disk(100, 100, nil), 0, true},
		"below":                        {disk(100, 99, nil), 0, false},
		"a write down to half of it":   {disk(100, 100, nil), 50, true},
		"a write below half of it":     {disk(100, 100, nil), 51, false},
		"no floor":                     {disk(-1, 0, nil), 51, true},
		"a platform that cannot tell":  {disk(100, 0, errUnknownSpace), 0, true},
		"a file system that cannot":    {disk(100, 200, errors.New("broken")), 0, false},
		"what the system itself tells": {&Disk{path: path, info: info, floor: 1, free: freeBytes}, 0, true},
	} {
		err := c.disk.Check(c.incoming)
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, resilient.ErrRefused, name)
		}
	}
}

func TestADiskKnowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	d, err := NewDisk(path, info, -1)
	require.NoError(t, err)
	require.NoError(t, d.Check(0))
	require.NoError(t, os.Rename(path, path+".kept"))
	require.ErrorIs(t, d.Check(0), resilient.ErrRefused)
	require.ErrorIs(t, d.Check(0), os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorIs(t, d.Check(0), resilient.ErrRefused)
	require.NoError(t, os.Rename(path+".kept", path))
	require.NoError(t, d.Check(0))
}

func TestAPanicBecomesAnErrorWithoutItsText(t *testing.T) {
	var none []int
	for name, fn := range map[string]func() error{
		"text":    func() error { panic("SECRET") },
		"error":   func() error { panic(errors.New("SECRET")) },
		"runtime": func() error { none[0]++; return nil },
	} {
		err := Shield(fn)
		require.ErrorIs(t, err, resilient.ErrUnavailable, name)
		require.NotContains(t, err.Error(), "SECRET")
		var p *Panic
		require.ErrorAs(t, err, &p)
		require.NotNil(t, p.Value())
	}
	require.NoError(t, Shield(func() error { return nil }))
	require.ErrorIs(t, Shield(func() error { return os.ErrExist }), os.ErrExist)
}

func TestBatchesAreCheckedWhole(t *testing.T) {
	long := strings.Repeat("k", 513)
	require.NoError(t, CheckKeys(nil))
	require.NoError(t, CheckKeys([]string{"a", "a"}))
	require.ErrorIs(t, CheckKeys([]string{"a", ""}), resilient.ErrEmptyKey)
	require.ErrorIs(t, CheckKeys([]string{"a", long}), resilient.ErrKeyTooLarge)
	require.NoError(t, CheckEntries(map[string][]byte{"a": {1, 2}, "b": nil}, 2))
	require.ErrorIs(t, CheckEntries(map[string][]byte{"a": nil, "b": {1, 2, 3}}, 2), resilient.ErrValueTooLarge)
	require.ErrorIs(t, CheckEntries(map[string][]byte{"a": nil, "\x00": nil}, 2), resilient.ErrInvalidKey)
	for range 20 { // whatever order the map is walked in
		require.ErrorIs(t, CheckEntries(map[string][]byte{"": nil, long: nil, "\x00": nil, "b": {1, 2, 3}}, 2), resilient.ErrEmptyKey)
	}
}

func TestAPulseStopsForTheCallerAndForClose(t *testing.T) {
	steps := func(ctx context.Context, g *Gate) (n int, err error) {
		for p := NewPulse(g); err == nil && n < 1000; n++ {
			err = p.Step(ctx)
		}
		return n, err
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	g := NewGate()
	n, err := steps(t.Context(), g)
	require.NoError(t, err)
	require.Equal(t, 1000, n)
	n, err = steps(ended, g)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, stride, n)
	g.Shut()
	_, err = steps(t.Context(), g)
	require.ErrorIs(t, err, resilient.ErrClosed)
}
