package boltkv

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// BenchmarkSet compares 64 writers, and a lone one, of this store with the
// same writers that each make a transaction of their own.
func BenchmarkSet(b *testing.B) {
	value := make([]byte, 100)
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("grouped/writers=%d", writers), func(b *testing.B) {
			kv, _ := open(b, Config{})
			spread(b, writers, func(key string) error { return kv.SetRaw(b.Context(), key, value) })
		})
		b.Run(fmt.Sprintf("naive/writers=%d", writers), func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "naive.db"), 0o600, nil)
			require.NoError(b, err)
			defer func() { require.NoError(b, db.Close()) }()
			spread(b, writers, func(key string) error {
				return db.Update(func(tx *bbolt.Tx) error {
					bucket, err := tx.CreateBucketIfNotExists([]byte("n"))
					if err != nil {
						return err
					}
					return bucket.Put([]byte(key), value)
				})
			})
		})
	}
}

// spread lets writers call set b.N times in all.
func spread(b *testing.B, writers int, set func(key string) error) {
	var (
		next atomic.Int64
		all  sync.WaitGroup
	)
	b.ResetTimer()
	for range writers {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := set(fmt.Sprintf("key %d", i%10000)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
