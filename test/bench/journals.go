package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
)

// journals measures what a durable journal costs.
func journals(b *bench) {
	b.text.heading("The journal on disk")
	b.healthyJournal()
	var rows [][]string
	rows = append(rows, b.journalWriters()...)
	rows = append(rows, b.boltWriters()...)
	rows = append(rows, b.journalStart())
	b.text.table([]string{"what", "measured (quartiles)", "against", "ratio"}, rows)
}

// healthyJournal compares groups that owe nothing, with a journal on disk and
// with one in memory.
func (b *bench) healthyJournal() {
	with := func(cfg failover.Config) *failover.KV {
		cfg.Member = untimed
		return b.group(cfg, newConstant(), newConstant())
	}
	journal := func() failover.Journal {
		j, err := boltjournal.Open(filepath.Join(b.tb.TempDir(), "journal"), boltjournal.Config{})
		b.must(err)
		return j
	}
	ways := []way{
		setOf("Set, handoff, journal in memory", with(failover.Config{})),
		setOf("Set, handoff, `boltjournal`", with(failover.Config{Journal: journal()})),
		setOf("Set, mirror, journal in memory", with(failover.Config{Writes: failover.Mirror})),
		setOf("Set, mirror, `boltjournal`", with(failover.Config{Writes: failover.Mirror, Journal: journal()})),
	}
	found := b.turns(1, ways...)
	var rows [][]string
	for i, w := range ways {
		rows = append(rows, []string{w.name, spread(found[i]), ratio(found[i].over(found[i&^1]).median())})
	}
	b.text.write("**A group that owes nothing**, of two members in memory that answer at once. \"x memory\" is against the same with a journal in memory.")
	b.text.table([]string{"way", "ns", "x memory"}, rows)
}

// contest measures two ways in turns, in calls per second.
func (b *bench) contest(rounds int, ours, theirs func() float64) (a, c series) {
	for i := range rounds {
		if i%2 == 0 {
			a = append(a, ours())
			c = append(c, theirs())
		} else {
			c = append(c, theirs())
			a = append(a, ours())
		}
	}
	return a, c
}

// rate lets writers make n calls in all and returns how many that are a second.
func (b *bench) rate(writers, n int, do func(i int) error) float64 {
	b.tb.Helper()
	var next atomic.Int64
	began := time.Now()
	b.must(together(writers, func(int) error {
		for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}))
	return float64(n) / time.Since(began).Seconds()
}

func perSecond(s series) string {
	return fmt.Sprintf("%s a second (%s to %s)", thousands(s.median()), thousands(s.quantile(0.25)), thousands(s.quantile(0.75)))
}

// journalWriters compares 100 writers of a journal at once with the same that
// take turns, so that each Put is a commit with a sync of its own.
func (b *bench) journalWriters() [][]string {
	j, err := boltjournal.Open(filepath.Join(b.tb.TempDir(), "journal"), boltjournal.Config{})
	b.must(err)
	_, err = j.Open([]string{"a", "b"})
	b.must(err)
	b.closing(func() error { return j.Close(true) })
	var seq atomic.Uint64
	value := make([]byte, valueSize)
	put := func(i int) error {
		return j.Put(failover.Record{Key: owedKey(i % 1000), Value: value, Owed: 2, Seq: seq.Add(1)})
	}
	var turn sync.Mutex // one Put at a time
	const writers = 100
	at, alone := b.contest(pick(b, 10, 1),
		func() float64 { return b.rate(writers, pick(b, 4000, 100), put) },
		func() float64 {
			return b.rate(writers, pick(b, 200, 5), func(i int) error {
				turn.Lock()
				defer turn.Unlock()
				return put(i)
			})
		})
	r := at.over(alone).median()
	b.check("100 writers of `boltjournal` at once, against one sync per write", ">= x 10", "x "+ratio(r), r >= 10)
	return [][]string{{"`boltjournal`, 100 writers at once", perSecond(at), "one sync per write: " + perSecond(alone), ratio(r)}}
}

// boltWriters compares 64 writers of boltkv with the same that each make a
// transaction of their own.
func (b *bench) boltWriters() [][]string {
	ours, err := boltkv.Open(filepath.Join(b.tb.TempDir(), "ours.db"), boltkv.Config{})
	b.must(err)
	b.closing(ours.Close)
	db, err := bbolt.Open(filepath.Join(b.tb.TempDir(), "naive.db"), 0o600, nil)
	b.must(err)
	b.closing(db.Close)
	bucket, value := []byte("naive"), make([]byte, valueSize)
	b.must(db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }))
	const writers = 64
	shared, naive := b.contest(pick(b, 10, 1),
		func() float64 {
			return b.rate(writers, pick(b, 4000, 100), func(i int) error {
				return ours.SetRaw(context.Background(), owedKey(i%10_000), value)
			})
		},
		func() float64 {
			return b.rate(writers, pick(b, 200, 5), func(i int) error {
				return db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(owedKey(i%10_000)), value) })
			})
		})
	r := shared.over(naive).median()
	b.check("`boltkv`, 64 writers at once, against a transaction per write", ">= x 5", "x "+ratio(r), r >= 5)
	return [][]string{{"`boltkv`, 64 writers at once", perSecond(shared), "a transaction per write: " + perSecond(naive), ratio(r)}}
}

// journalStart measures the start of a group whose journal has many keys that
// are owed to a member which is still away.
func (b *bench) journalStart() []string {
	n := pick(b, 100_000, 100)
	path := filepath.Join(b.tb.TempDir(), "journal")
	start := func() *failover.KV {
		j, err := boltjournal.Open(path, boltjournal.Config{})
		b.must(err)
		cfg := mirror(untimed)
		cfg.Journal = j
		first, err := memkv.New(memkv.Config{})
		b.must(err)
		kv, err := failover.New(cfg, first, &constant{err: errDown})
		b.must(err)
		return kv
	}
	kv := start()
	b.owe(kv, n)
	b.must(kv.Close())
	var took series
	for range pick(b, 10, 1) {
		began := time.Now()
		kv := start()
		took = append(took, float64(time.Since(began)))
		for _, owed := range kv.Owed() {
			if owed != 0 && owed != n {
				b.tb.Fatalf("bench: %d keys are owed after a start, not %d", owed, n)
			}
		}
		b.must(kv.Close())
	}
	what := fmt.Sprintf("start of a group with %s keys owed in `boltjournal`", thousands(float64(n)))
	b.check(what, "< 1 s", duration(took.median()), took.median() < 1e9)
	return []string{what, fmt.Sprintf("%s (%s to %s)", duration(took.median()), duration(took.quantile(0.25)), duration(took.quantile(0.75))), "", ""}
}
