package mongokv

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// BenchmarkAgainstTheDriver compares a Get and a Set of the store with the bare
// driver's FindOne and ReplaceOne, side by side: each round times some of the
// one and then some of the other, and the median of the rounds' ratios is told.
func BenchmarkAgainstTheDriver(b *testing.B) {
	s := servertest.FerretDB(b)
	uri := servertest.FerretDBURI(s)
	kv := open(b, uri, small(Config{}))
	collection := client(b, uri).Database(defaultName).Collection(defaultName)
	ctx, value := b.Context(), bytes.Repeat([]byte("v"), 100)
	require.NoError(b, kv.SetRaw(ctx, "key", value))
	b.Run("Get", func(b *testing.B) {
		compare(b, func() error {
			_, err := kv.GetRaw(ctx, "key")
			return err
		}, func() error {
			var document struct{ V []byte }
			return collection.FindOne(ctx, bson.D{{Key: "_id", Value: "key"}}).Decode(&document)
		})
	})
	b.Run("Set", func(b *testing.B) {
		n := 0
		next := func() []byte {
			n++
			return fmt.Appendf(nil, "%0100d", n)
		}
		compare(b, func() error { return kv.SetRaw(ctx, "key", next()) }, func() error {
			_, err := collection.ReplaceOne(ctx, bson.D{{Key: "_id", Value: "key"}},
				bson.D{{Key: "v", Value: bson.Binary{Data: next()}}}, options.Replace().SetUpsert(true))
			return err
		})
	})
}

// compare reports how many times as long ours takes as theirs.
func compare(b *testing.B, ours, theirs func() error) {
	const calls = 20
	timed := func(call func() error) float64 {
		began := time.Now()
		for range calls {
			require.NoError(b, call())
		}
		return float64(time.Since(began)) / calls
	}
	var ratios, times []float64
	for b.Loop() {
		// Who goes first alternates.
		var a, c float64
		if len(ratios)%2 == 0 {
			a, c = timed(ours), timed(theirs)
		} else {
			c, a = timed(theirs), timed(ours)
		}
		ratios, times = append(ratios, a/c), append(times, a)
	}
	slices.Sort(ratios)
	slices.Sort(times)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(times[len(times)/2], "ns/call")
}
