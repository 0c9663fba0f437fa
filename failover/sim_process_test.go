package failover_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

var errSimDead = errors.New("simulated: the process has died")

// simProcess is one life of the process that owns the group. Dead, it sends
// nothing, hears nothing and writes nothing; what it has sent may still be
// applied.
type simProcess struct {
	ctx   context.Context // ends with its life
	die   context.CancelFunc
	group *failover.KV
}

func newSimProcess() *simProcess {
	p := &simProcess{}
	p.ctx, p.die = context.WithCancel(context.Background())
	return p
}

func (p *simProcess) dead() bool { return p.ctx.Err() != nil }

// simConn is a process's connection to a server.
type simConn struct {
	p *simProcess
	s *simStore
}

// do makes a call that the process's death cuts off.
func (c *simConn) do(ctx context.Context, call func(ctx context.Context) error) error {
	if c.p.dead() {
		return errSimDead
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.p.ctx, cancel)()
	err := call(ctx)
	if c.p.dead() {
		return errSimDead
	}
	return err
}

func (c *simConn) Health(ctx context.Context) error { return c.do(ctx, c.s.Health) }

func (c *simConn) GetRaw(ctx context.Context, key string) (value []byte, err error) {
	err = c.do(ctx, func(ctx context.Context) (err error) { value, err = c.s.GetRaw(ctx, key); return err })
	return value, err
}

func (c *simConn) SetRaw(ctx context.Context, key string, value []byte) error {
	return c.do(ctx, func(ctx context.Context) error { return c.s.SetRaw(ctx, key, value) })
}

func (c *simConn) Delete(ctx context.Context, key string) error {
	return c.do(ctx, func(ctx context.Context) error { return c.s.Delete(ctx, key) })
}

func (c *simConn) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = c.do(ctx, func(ctx context.Context) (err error) { keys, err = c.s.List(ctx, prefix); return err })
	return keys, err
}

func (c *simConn) BatchGetRaw(ctx context.Context, keys []string) (found map[string][]byte, err error) {
	err = c.do(ctx, func(ctx context.Context) (err error) { found, err = c.s.BatchGetRaw(ctx, keys); return err })
	return found, err
}

func (c *simConn) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	return c.do(ctx, func(ctx context.Context) error { return c.s.BatchSetRaw(ctx, kv) })
}

func (c *simConn) BatchDelete(ctx context.Context, keys []string) error {
	return c.do(ctx, func(ctx context.Context) error { return c.s.BatchDelete(ctx, keys) })
}

func (c *simConn) Close() error { return nil }

// simDisk is what outlives processes: the durable part of a journal.
type simDisk struct {
	mu     sync.Mutex // guards all below
	rng    *rand.Rand
	recs   map[string]failover.Record
	notes  map[string][]byte
	dirty  bool
	refuse bool // Put is refused
	doubt  int  // how many more writes fail, and may be durable or not
}

func newSimDisk(rng *rand.Rand) *simDisk {
	return &simDisk{rng: rng, recs: map[string]failover.Record{}, notes: map[string][]byte{}}
}

func (d *simDisk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *simDisk) heal() { d.set(func() { d.refuse, d.doubt = false, 0 }) }

// simJournal is a process's handle on the disk. What it is writing when the
// process dies may be durable or not.
type simJournal struct {
	p *simProcess
	d *simDisk
}

func (j *simJournal) Open([]string) (failover.Recovery, error) {
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	r := failover.Recovery{
		Records: slices.Collect(maps.Values(j.d.recs)), Notes: maps.Clone(j.d.notes), Clean: !j.d.dirty,
	}
	j.d.dirty = true
	return r, nil
}

func (j *simJournal) Durable() bool                        { return true }
func (j *simJournal) Status() (st resilient.JournalStatus) { return st }
func (j *simJournal) Reserve(int, int64) error             { return nil }
func (j *simJournal) Release(int, int64)                   {}

func (j *simJournal) Put(r ...failover.Record) error {
	return j.write(2*time.Millisecond, func() { j.d.putLocked(r) })
}

func (j *simJournal) Forget(r ...failover.Record) error {
	return j.write(500*time.Millisecond, func() {
		for _, r := range r {
			if j.d.recs[r.Key].Seq <= r.Seq {
				delete(j.d.recs, r.Key)
			}
		}
	})
}

func (j *simJournal) Note(name string, fact []byte) error {
	return j.write(2*time.Millisecond, func() { j.d.notes[name] = fact })
}

func (d *simDisk) putLocked(recs []failover.Record) {
	for _, r := range recs {
		if r.Empty() {
			delete(d.recs, r.Key)
		} else {
			d.recs[r.Key] = r
		}
	}
}

// write changes the disk after a while, at most atMost.
func (j *simJournal) write(atMost time.Duration, change func()) error {
	if j.p.dead() {
		return errSimDead
	}
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	if j.d.refuse {
		return &simError{"simulated: the journal takes nothing", resilient.ErrRefused}
	}
	coin, takes := j.d.rng.IntN(2) == 0, time.Duration(j.d.rng.Int64N(int64(atMost)))
	func() {
		j.d.mu.Unlock()
		defer j.d.mu.Lock()
		time.Sleep(takes)
	}()
	switch {
	case j.p.dead():
		if coin {
			change()
		}
		return errSimDead
	case j.d.doubt > 0:
		j.d.doubt--
		if coin {
			change()
		}
		return errors.New("simulated: the journal's sync failed")
	}
	change()
	return nil
}

func (j *simJournal) Size() (int, int64) { return 0, 0 }

func (j *simJournal) Close(clean bool) error {
	if !j.p.dead() {
		j.d.set(func() { j.d.dirty = !clean })
	}
	return nil
}
