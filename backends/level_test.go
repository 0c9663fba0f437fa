package backends_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// level is what this process holds at one moment. Sizes are in bytes.
type level struct{ goroutines, fds, heap, journal, rss int64 }

// levelNow measures it. Journals are paths.
func levelNow(t *testing.T, journals ...string) (l level) {
	runtime.GC()
	runtime.GC() // what a sync.Pool holds outlives the first
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	l = counted(t)
	l.heap = int64(mem.HeapAlloc)
	for _, path := range journals {
		info, err := os.Stat(path)
		require.NoError(t, err)
		l.journal += info.Size()
	}
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var size, resident int64
	_, err = fmt.Sscan(string(statm), &size, &resident)
	require.NoError(t, err)
	l.rss = resident * int64(os.Getpagesize())
	return l
}

// counted is the part of a level that is cheap to have.
func counted(t *testing.T) level {
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return level{goroutines: int64(runtime.NumGoroutine()), fds: int64(len(fds))}
}

// highest returns the highest of each.
func highest(levels []level) level { return each(levels, func(a, b int64) int64 { return max(a, b) }) }

// lowest returns the lowest of each.
func lowest(levels []level) level { return each(levels, func(a, b int64) int64 { return min(a, b) }) }

func each(levels []level, of func(a, b int64) int64) level {
	m := levels[0]
	for _, l := range levels[1:] {
		m = level{
			goroutines: of(m.goroutines, l.goroutines), fds: of(m.fds, l.fds),
			heap: of(m.heap, l.heap), journal: of(m.journal, l.journal), rss: of(m.rss, l.rss),
		}
	}
	return m
}

// thirds returns what the first and the last third of levels come to, the first
// of them left out: it is from a process that is getting warm.
func thirds(levels []level, of func([]level) level) (first, last level) {
	levels = levels[1:]
	n := (len(levels) + 1) / 3
	return of(levels[:n]), of(levels[len(levels)-n:])
}

// atRest measures for a second, or until nothing is above base by more than
// room, and returns the lowest: drivers end their goroutines soon after, not
// before, their Close.
func atRest(t *testing.T, base, room level) level {
	least := levelNow(t)
	for over := time.Now().Add(time.Second); len(least.above(base, room)) > 0 && time.Now().Before(over); time.Sleep(20 * time.Millisecond) {
		least = lowest([]level{least, levelNow(t)})
	}
	return least
}

// above returns what of l is above that of base by more than room.
func (l level) above(base, room level) (found []string) {
	for _, part := range []struct {
		name            string
		has, base, room int64
	}{
		{"goroutines", l.goroutines, base.goroutines, room.goroutines},
		{"descriptors", l.fds, base.fds, room.fds},
		{"bytes of heap", l.heap, base.heap, room.heap},
		{"bytes of journal", l.journal, base.journal, room.journal},
	} {
		if part.has > part.base+part.room {
			found = append(found, fmt.Sprintf("%s: %d after %d, and at most %d more are explained", part.name, part.has, part.base, part.room))
		}
	}
	return found
}

// stacks returns what the goroutines of this process do, equal ones counted.
func stacks() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}

// descriptors returns what this process has open.
func descriptors() (open []string) {
	all, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range all {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		open = append(open, target)
	}
	slices.Sort(open)
	return open
}
