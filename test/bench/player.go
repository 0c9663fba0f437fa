package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	playerCallers = 4
	keysOfCaller  = 5
	valueSize     = 100
	// delayedAfter is a hundred times what a redis on the same machine takes.
	delayedAfter = 100 * time.Millisecond
)

// player is one way to stay up, with its callers and what happened to them.
type player struct {
	name     string
	timeout  time.Duration // of an attempt
	kv       getSetter
	opened   []resilient.KVWithHealth
	group    *failover.KV // nil: not a group
	homeName string       // the group's first member

	stop  atomic.Bool
	done  sync.WaitGroup
	mu    sync.Mutex // guards calls and stale
	calls []call
	stale int
	acked [playerCallers][keysOfCaller]int // each caller's own while it runs, as the next
	tried [playerCallers]int               // the last version
	once  [playerCallers]int               // how many keys were tried that are set once
	kept  [playerCallers][]int             // which of these were acknowledged
	lost  int
}

// call is one that was made.
type call struct {
	began  time.Time
	took   time.Duration
	cold   bool // a Get of a key that nobody sets
	failed bool
}

func onceKey(caller, i int) string { return fmt.Sprintf("caller%d:once%d", caller, i) }
func coldKey(caller int) string    { return fmt.Sprintf("caller%d:cold", caller) }
func keyOf(caller, i int) string   { return fmt.Sprintf("caller%d:key%d", caller, i) }

// version makes a value of which a later one is greater.
func version(n int) []byte { return fmt.Appendf(nil, "%0*d", valueSize, n) }

func versionOf(value []byte) int {
	n, err := strconv.Atoi(strings.TrimLeft(string(value), "0"))
	if err != nil {
		return 0
	}
	return n
}

// fill gives every store every key.
func (p *player) fill() error {
	ctx, cancel := background()
	defer cancel()
	for _, kv := range p.opened {
		for c := range playerCallers {
			for i := range keysOfCaller {
				if err := kv.SetRaw(ctx, keyOf(c, i), version(1)); err != nil {
					return err
				}
				p.acked[c][i], p.tried[c] = 1, 1
			}
			if err := kv.SetRaw(ctx, coldKey(c), version(1)); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin starts the callers. They first use what they will use later.
func (p *player) begin() error {
	ctx, cancel := background()
	defer cancel()
	if _, err := p.kv.GetRaw(ctx, keyOf(0, 0)); err != nil {
		return err
	}
	for c := range playerCallers {
		p.done.Go(func() { p.play(c) })
	}
	return nil
}

func (p *player) end() {
	p.stop.Store(true)
	p.done.Wait()
}

// play makes calls until the end: of twenty one sets a key for the only time,
// one sets a key again, nine get such a key and nine one that nobody sets.
func (p *player) play(caller int) {
	for !p.stop.Load() {
		now, old := call{began: time.Now()}, false
		switch kind := rand.IntN(20); {
		case kind == 0:
			now.failed = p.setOnce(caller) != nil
		case kind == 1:
			now.failed = p.setAgain(caller) != nil
		case kind < 11:
			var err error
			old, err = p.get(caller)
			now.failed = err != nil
		default:
			now.cold = true
			_, err := p.kv.GetRaw(context.Background(), coldKey(caller))
			now.failed = err != nil
		}
		now.took = time.Since(now.began)
		p.mu.Lock()
		p.calls = append(p.calls, now)
		if old {
			p.stale++
		}
		p.mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
}

func (p *player) setOnce(caller int) error {
	i := p.once[caller]
	p.once[caller]++
	err := p.kv.SetRaw(context.Background(), onceKey(caller, i), version(1))
	if err == nil {
		p.kept[caller] = append(p.kept[caller], i)
	}
	return err
}

func (p *player) setAgain(caller int) error {
	i := rand.IntN(keysOfCaller)
	p.tried[caller]++
	next := p.tried[caller]
	err := p.kv.SetRaw(context.Background(), keyOf(caller, i), version(next))
	if err == nil {
		p.acked[caller][i] = next
	}
	return err
}

// get reports whether the answer is older than what was acknowledged.
func (p *player) get(caller int) (old bool, err error) {
	i := rand.IntN(keysOfCaller)
	value, err := p.kv.GetRaw(context.Background(), keyOf(caller, i))
	return err == nil && versionOf(value) < p.acked[caller][i], err
}

// home reports whether the group is back where it began and owes nothing.
func (p *player) home() bool {
	if p.group.Active() != p.homeName {
		return false
	}
	for _, n := range p.group.Owed() {
		if n > 0 {
			return false
		}
	}
	return true
}

// audit reads every key once more, when all is well again.
func (p *player) audit() {
	ctx, cancel := background()
	defer cancel()
	for c := range playerCallers {
		for i := range keysOfCaller {
			value, err := p.kv.GetRaw(ctx, keyOf(c, i))
			if err != nil || versionOf(value) < p.acked[c][i] {
				p.lost++
			}
		}
		for _, i := range p.kept[c] {
			if _, err := p.kv.GetRaw(ctx, onceKey(c, i)); err != nil {
				p.lost++
			}
		}
	}
}

// close closes what was opened. What a group still owes was counted as lost, or
// not asked for in a quick run.
func (p *player) close() {
	if p.group != nil {
		_ = p.group.Close()
	}
	for _, kv := range p.opened {
		_ = kv.Close()
	}
}

// tally is what happened to a way from the outage on.
type tally struct {
	calls, failed, delayed, stale, lost int
	slowest, disturbed, away            time.Duration
}

func (t *tally) add(u tally) {
	t.calls, t.failed, t.delayed = t.calls+u.calls, t.failed+u.failed, t.delayed+u.delayed
	t.stale, t.lost = t.stale+u.stale, t.lost+u.lost
	t.slowest = max(t.slowest, u.slowest)
}

func (p *player) tally(o *outage) tally {
	t := tally{stale: p.stale, lost: p.lost}
	for _, c := range p.calls {
		end := c.began.Add(c.took)
		if end.Before(o.fault) {
			continue
		}
		t.calls++
		t.slowest = max(t.slowest, c.took)
		if c.failed {
			t.failed++
		}
		if c.took > delayedAfter {
			t.delayed++
		}
		if (c.failed || c.took > delayedAfter) && c.began.Before(o.healed) {
			t.disturbed = max(t.disturbed, end.Sub(o.fault))
		}
	}
	t.disturbed = min(t.disturbed, o.healed.Sub(o.fault))
	var gets []time.Duration
	for _, c := range p.calls {
		if c.cold && c.began.After(o.fault.Add(t.disturbed)) && c.began.Add(c.took).Before(o.healed) {
			gets = append(gets, c.took)
		}
	}
	if len(gets) > 0 {
		slices.Sort(gets)
		t.away = gets[len(gets)/2]
	}
	return t
}
