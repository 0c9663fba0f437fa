package boltjournal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

const (
	killWriters = 4
	sharedKeys  = 12 // of each writer, in every life
	freshKeys   = 40 // of each writer, in one life only
)

// doomed is a process that is going to be killed. It says on standard output
// what it does, each line in one write:
//
//	T key value   it is about to write; "-" = to delete
//	A key value   that was acknowledged
//	F key value   that was certainly not applied
//	R key value   what it has read after its start
//	W             it writes from now on
//	K states      where it is, just before it kills itself
//	E text        something is wrong
type doomed struct {
	fate
	dir    string
	watch  *watch
	faults []*kvtest.Fault
	n      [killWriters]int // how many values each writer has written
}

// live is the life of the process of a group in dir. It writes through the
// group while a member is taken away and given back, until it is killed.
func live(dir string) {
	d := &doomed{dir: dir, watch: newWatch()}
	d.must(json.Unmarshal([]byte(os.Getenv(killFate)), &d.fate))
	g := d.open()
	d.readBack(g)
	if d.Aim != inOldOne {
		// Only in a process that was preceded by a clean close what it owes
		// itself is handed back at once.
		d.must(g.Close())
		g = d.open()
	}
	d.say("W\n")
	if d.Aim != inClosing {
		go d.die(d.After)
		d.write(context.Background(), g)
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), d.After)
		d.write(ctx, g)
		cancel()
		d.watch.closing.Store(true)
		go d.die(0)
		d.must(g.Close())
		d.watch.closing.Store(false)
		g = d.open()
	}
}

func (d *doomed) say(line string) { _, _ = os.Stdout.WriteString(line) }

func (d *doomed) must(err error) {
	if err != nil {
		d.say(fmt.Sprintf("E life %d: %v\n", d.Life, err))
		os.Exit(1)
	}
}

// groupOf opens the group in dir with a watch on its journal and its members.
func groupOf(dir string, mode failover.Writes, w *watch, hasty bool) (*failover.KV, []*kvtest.Fault, error) {
	var members []resilient.KVWithHealth
	var faults []*kvtest.Fault
	for _, name := range names {
		kv, err := boltkv.Open(filepath.Join(dir, name), boltkv.Config{NoSync: true, MinFree: -1})
		if err != nil {
			return nil, nil, err
		}
		fault := kvtest.NewFault(&watchedStore{kv, w})
		faults = append(faults, fault)
		members = append(members, fault)
	}
	opened, err := Open(filepath.Join(dir, "journal.db"), Config{})
	if err != nil {
		return nil, nil, err
	}
	ms := time.Millisecond
	g, err := failover.New(failover.Config{
		Writes: mode, Complete: mode != failover.Handoff, Journal: &watchedJournal{opened, w, hasty},
		Failback: failover.Failback{After: -1},
		Member: resilient.Config{
			Timeout: time.Second,
			Breaker: breaker.Config{Fall: 1, Rise: 1, Trials: 1, OpenFor: 2 * ms, MaxOpenFor: 2 * ms},
			Probe:   resilient.Probe{Interval: 20 * ms, FastInterval: 5 * ms, DownInterval: 3 * ms, MaxDownInterval: 3 * ms},
		},
	}, members...)
	return g, faults, err
}

func (d *doomed) open() *failover.KV {
	g, faults, err := groupOf(d.dir, d.Mode, d.watch, d.Hasty)
	d.must(err)
	d.faults = faults
	return g
}

// readBack reads what earlier lives have left: the shared keys, and those of the
// last life.
func (d *doomed) readBack(g *failover.KV) {
	ctx := context.Background()
	keys, err := g.List(ctx, fmt.Sprintf("%d.", d.Life-1))
	d.must(err)
	for w := range killWriters {
		for n := range sharedKeys {
			keys = append(keys, fmt.Sprintf("shared.%d.%d", w, n))
		}
	}
	for _, key := range keys {
		switch value, err := g.GetRaw(ctx, key); {
		case errors.Is(err, resilient.ErrNotFound):
			d.say(fmt.Sprintf("R %s -\n", key))
		default:
			d.must(err)
			d.say(fmt.Sprintf("R %s %s\n", key, strings.TrimSpace(string(value))))
		}
	}
}

// write writes with all writers, while members go and come, until ctx ends.
func (d *doomed) write(ctx context.Context, g *failover.KV) {
	var all sync.WaitGroup
	for w := range killWriters {
		rng := rand.New(rand.NewPCG(d.Seed, uint64(w)))
		all.Go(func() {
			for ctx.Err() == nil {
				d.writeOne(g, w, rng)
			}
		})
	}
	rng := rand.New(rand.NewPCG(d.Seed, killWriters))
	for ctx.Err() == nil {
		f := d.faults[0]
		if rng.IntN(3) == 0 {
			f = d.faults[1]
		}
		if rng.IntN(8) == 0 {
			f.AckLost(2)
		} else {
			f.Down()
		}
		time.Sleep(time.Duration(2+rng.IntN(15)) * time.Millisecond)
		f.Up()
		time.Sleep(time.Duration(5+rng.IntN(20)) * time.Millisecond)
	}
	all.Wait()
}

// writeOne is one write of writer w: a value, a few of them, or none.
func (d *doomed) writeOne(g *failover.KV, w int, rng *rand.Rand) {
	ctx := context.Background()
	batch := map[string][]byte{}
	var keys []string
	for range 1 + 2*(rng.IntN(8)/7) {
		key := fmt.Sprintf("%d.%d.%d", d.Life, w, rng.IntN(freshKeys))
		if rng.IntN(4) == 0 {
			key = fmt.Sprintf("shared.%d.%d", w, rng.IntN(sharedKeys))
		}
		if batch[key] == nil {
			keys = append(keys, key)
		}
		d.n[w]++
		batch[key] = []byte(padded(fmt.Sprintf("%d.%d.%d", d.Life, w, d.n[w])))
	}
	remove := rng.IntN(5) == 0
	tell := func(what string) {
		var lines strings.Builder
		for _, key := range keys {
			value := "-"
			if !remove {
				value = strings.TrimSpace(string(batch[key]))
			}
			fmt.Fprintf(&lines, "%s %s %s\n", what, key, value)
		}
		d.say(lines.String())
	}
	defer d.watch.writing(keys)()
	var err error
	tell("T")
	switch {
	case remove:
		err = g.BatchDelete(ctx, keys)
	case len(keys) == 1:
		err = g.SetRaw(ctx, keys[0], batch[keys[0]])
	default:
		err = g.BatchSetRaw(ctx, batch)
	}
	switch {
	case err == nil:
		tell("A")
	case errors.Is(err, resilient.ErrAmbiguous):
	case errors.Is(err, resilient.ErrRefused):
		tell("F")
	default:
		d.must(err)
	}
}

// die kills the process after some time, where its fate says, unless it is to be
// killed from outside.
func (d *doomed) die(after time.Duration) {
	var there func() bool
	switch d.Aim {
	case inCommit:
		there = d.watch.committing
	case inHandBack, inOldOne:
		there = d.watch.handingBack
	case inClosing:
		there = d.watch.closing.Load
	default:
		return
	}
	self, err := os.FindProcess(os.Getpid())
	d.must(err)
	time.Sleep(after)
	for late := time.Now().Add(5 * time.Second); !there() && time.Now().Before(late); {
		time.Sleep(20 * time.Microsecond)
	}
	jitter := 300 * time.Microsecond
	if d.Aim == inClosing {
		jitter *= 4
	}
	rng := rand.New(rand.NewPCG(d.Seed, killWriters+1))
	for end := time.Now().Add(time.Duration(rng.Int64N(int64(jitter)))); time.Now().Before(end); {
		continue // a sleep would be too coarse
	}
	where := "K"
	for state, is := range map[string]bool{
		string(inCommit): d.watch.committing(), string(inHandBack): d.watch.handingBack(), string(inClosing): d.watch.closing.Load(),
	} {
		if is {
			where += " " + state
		}
	}
	d.say(where + "\n")
	_ = self.Kill()
	select {}
}
