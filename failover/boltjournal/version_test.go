package boltjournal

import (
	"hash/fnv"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// afterwards leaves a journal whose head says that a later version wrote it.
func afterwards(t *testing.T) (path string) {
	t.Helper()
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "v", 1)))
	later := j.w.mu.c.head().encode()
	later[4]++
	later = sealedAgain(headKey, later)
	require.NoError(t, j.w.f.update(func(tx *bbolt.Tx) error { return tx.Bucket(headBucket).Put(headKey, later) }))
	drop(t, j)
	return j.path
}

func TestAJournalOfALaterFormatIsRefused(t *testing.T) {
	path := afterwards(t)
	_, err := Open(path, Config{})
	require.ErrorContains(t, err, "format is 2")
	require.ErrorContains(t, err, path)
}

func TestRegression_AnOperatorWasToldToGiveUpTheJournalOfALaterVersion(t *testing.T) {
	path := afterwards(t)
	_, err := Open(path, Config{})
	require.NotErrorIs(t, err, ErrDamaged)
	require.NotContains(t, err.Error(), "give up")
	require.ErrorContains(t, err, "another version has written it")

	file, _ := used(t, 3)
	inMetas(file, 4, boltVersion+1)
	_, err = readBytes(file)
	require.NotErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "another version has written it: its bbolt format is 3")
}

// inMetas puts n at a place of both meta pages, and the right checksums.
func inMetas(file []byte, at int, n uint32) {
	for page := range 2 {
		m := file[page*os.Getpagesize()+pageHead:][:metaSize]
		native.PutUint32(m[at:], n)
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		native.PutUint64(m[metaSize-8:], sum.Sum64())
	}
}

func TestPagesOfASizeThatCannotBeAreAnError(t *testing.T) {
	file, _ := used(t, 3)
	for _, size := range []uint32{0, 1, pageHead + metaSize - 1, 1<<24 + 1, 1 << 31} {
		inMetas(file, 8, size)
		_, err := readBytes(file)
		require.ErrorContains(t, err, "meta page 0 is damaged")
	}
}
