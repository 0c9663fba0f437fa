package badgerkv

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// arena is what one memtable takes: besides its size, room for one more
	// transaction (arenaSize in badger's source).
	arena = 21 << 20
	// building is what badger takes to make a table of a memtable: pages of 4, 8,
	// 16 and 32 MiB.
	building = 60 << 20
	// kept is how many of these badger keeps at most for the tables to come.
	kept = 8
)

// TestOverwritingFewKeysTakesNoMoreMemoryTheLongerItLasts: HOLDFAST_OVERWRITE is
// how many MiB are written; 192, twelve memtables, if it is not set.
func TestOverwritingFewKeysTakesNoMoreMemoryTheLongerItLasts(t *testing.T) {
	mib := 192
	if text := os.Getenv("HOLDFAST_OVERWRITE"); text != "" {
		var err error
		mib, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	kv, err := Open(filepath.Join(t.TempDir(), "store"), Config{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	const size, keys = 64 << 10, 16
	value := make([]byte, size)
	before, writes := heap(), mib<<20/size
	var live []int64 // at the end of each tenth, in MiB
	for i := range writes {
		key := fmt.Sprint(i % keys)
		value[0] = byte(i)
		require.NoError(t, kv.SetRaw(t.Context(), key, value))
		if (i+1)%(writes/10) == 0 {
			got, err := kv.GetRaw(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, value, got)
			live = append(live, (heap()-before)>>20)
		}
	}
	t.Logf("RESULT kind=badger-memory written_mib=%d live_mib=%v", mib, live)
	require.LessOrEqual(t, slices.Max(live), int64((numMemtables+2)*arena+blockCacheSize+kept*building)>>20)
}

// heap returns how many bytes are in use after a collection.
func heap() int64 {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return int64(mem.HeapAlloc)
}
