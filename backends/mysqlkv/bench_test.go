package mysqlkv

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// BenchmarkAgainstTheDriver compares Get and Set with the driver and
// database/sql doing the same: a statement that stays prepared, and a ctx with a
// timeout. An iteration is 10 calls of each in turn; "ratio" is the median over
// the iterations, of which there should be some hundreds.
func BenchmarkAgainstTheDriver(b *testing.B) {
	server := servertest.MySQL(b)
	kv := open(b, server, Config{Namespace: "bench"})
	value := make([]byte, 100)
	require.NoError(b, kv.SetRaw(b.Context(), "key", value))
	db := pool(b, servertest.MySQLDSN(server))
	db.SetMaxIdleConns(defaultPoolSize)
	prepare := func(query string) *sql.Stmt {
		stmt, err := db.Prepare(query)
		require.NoError(b, err)
		b.Cleanup(func() { _ = stmt.Close() })
		return stmt
	}
	get, set := prepare(kv.sql.get.text), prepare(kv.sql.set.text)
	var n byte // a row that does not change is not written
	for _, pair := range []struct {
		name       string
		ours, bare func(ctx context.Context) error
	}{
		{"Get", func(ctx context.Context) error {
			_, err := kv.GetRaw(ctx, "key")
			return err
		}, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
			defer cancel()
			var value []byte
			return get.QueryRowContext(ctx, "key").Scan(&value)
		}},
		{"Set", func(ctx context.Context) error {
			n++
			value[0] = n
			return kv.SetRaw(ctx, "key", value)
		}, func(ctx context.Context) error {
			n++
			value[0] = n
			ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
			defer cancel()
			_, err := set.ExecContext(ctx, "key", value)
			return err
		}},
	} {
		b.Run(pair.name, func(b *testing.B) {
			const calls = 10
			round := func(call func(ctx context.Context) error) time.Duration {
				began := time.Now()
				for range calls {
					if err := call(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(began)
			}
			round(pair.ours)
			round(pair.bare)
			var ratios []float64
			var spent time.Duration
			for b.Loop() {
				var ours, bare time.Duration
				if len(ratios)%2 == 0 { // the second of two may find the server warmer
					ours, bare = round(pair.ours), round(pair.bare)
				} else {
					bare, ours = round(pair.bare), round(pair.ours)
				}
				spent += ours
				ratios = append(ratios, float64(ours)/float64(bare))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(calls*len(ratios)), "ns/call")
		})
	}
}
