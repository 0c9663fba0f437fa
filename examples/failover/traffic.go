package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// batchKV is what the clients use: *failover.KV, or whatever else serves
// batches too.
type batchKV interface {
	resilient.KV
	resilient.Batcher
}

// patience is how long a client waits for one call: longer than any should
// take, so that a call that never ends is seen as one that failed.
const patience = 5 * time.Second

// pause is the longest time that a client lets pass between two calls: clients
// have more to do than to call their store.
const pause = 4 * time.Millisecond

// batchSize is how many keys a batch has at most.
const batchSize = 4

// client is one of many callers. Nobody else writes its keys.
type client struct {
	kv     batchKV
	ledger *ledger
	tally  *tally
	rng    *rand.Rand
	prefix string
	keys   []string
}

// newClients shares o.keys keys out among o.clients clients.
func newClients(o options, kv batchKV, t *tally) ([]*client, *ledger) {
	clients := make([]*client, o.clients)
	for i := range clients {
		rng := rand.New(rand.NewPCG(uint64(o.seed), uint64(i))) //#nosec G115 G404 -- made-up load, from a seed that may have any bits
		clients[i] = &client{kv: kv, tally: t, rng: rng, prefix: fmt.Sprintf("client-%d/", i)}
	}
	all := make([]string, o.keys)
	for n := range all {
		c := clients[n%len(clients)]
		all[n] = fmt.Sprintf("%skey-%d", c.prefix, n)
		c.keys = append(c.keys, all[n])
	}
	l := newLedger(all)
	for _, c := range clients {
		c.ledger = l
	}
	return clients, l
}

// drive lets every client make calls, one after the other, until stop is
// closed.
func drive(clients []*client, stop <-chan struct{}) {
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(c.rng.Int64N(int64(pause)))):
					c.step()
				}
			}
		})
	}
	wg.Wait()
}

// step makes one call: two of three read.
func (c *client) step() {
	switch dice := c.rng.IntN(100); {
	case dice < 30:
		c.get(c.own())
	case dice < 60:
		c.getForeign(c.ledger.keys[c.rng.IntN(len(c.ledger.keys))])
	case dice < 64:
		c.batchGet(c.some())
	case dice < 66:
		c.list()
	case dice < 86:
		c.set(c.own())
	case dice < 93:
		c.delete(c.own())
	case dice < 97:
		c.batchSet(c.some())
	default:
		c.batchDelete(c.some())
	}
}

func (c *client) own() string { return c.keys[c.rng.IntN(len(c.keys))] }

// some returns a few keys of c's, each once.
func (c *client) some() []string {
	n := min(batchSize, len(c.keys))
	keys := make([]string, n)
	for i, at := range c.rng.Perm(len(c.keys))[:n] {
		keys[i] = c.keys[at]
	}
	return keys
}

// call makes one call and counts it. "Not found" is an answer.
func (c *client) call(op resilient.Op, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := do(ctx)
	if errors.Is(err, resilient.ErrNotFound) {
		err = nil
	}
	c.tally.called(op, began, err)
	return err
}

// read returns the value of key, nil if there is none.
func (c *client) read(key string) (value []byte, err error) {
	err = c.call(resilient.OpGet, func(ctx context.Context) (err error) {
		value, err = c.kv.GetRaw(ctx, key)
		return err
	})
	return value, err
}

func (c *client) get(key string) {
	if value, err := c.read(key); err == nil {
		c.tally.judge(c.ledger.own(key, value))
	}
}

func (c *client) getForeign(key string) {
	acked := c.ledger.acked(key)
	if value, err := c.read(key); err == nil {
		c.tally.judge(c.ledger.foreign(key, acked, value))
	}
}

func (c *client) batchGet(keys []string) {
	var values map[string][]byte
	err := c.call(resilient.OpBatchGet, func(ctx context.Context) (err error) {
		values, err = c.kv.BatchGetRaw(ctx, keys)
		return err
	})
	if err != nil {
		return
	}
	for _, key := range keys {
		c.tally.judge(c.ledger.own(key, values[key]))
	}
}

// list lists c's own keys.
func (c *client) list() {
	var keys []string
	err := c.call(resilient.OpList, func(ctx context.Context) (err error) {
		keys, err = c.kv.List(ctx, c.prefix)
		return err
	})
	if err != nil {
		return
	}
	there := map[string]bool{}
	for _, key := range keys {
		there[key] = true
	}
	for _, key := range c.keys {
		c.tally.judge(c.ledger.listed(key, there[key]))
		delete(there, key)
	}
	for key := range there {
		c.tally.judge(fmt.Errorf("%s is listed, and nobody wrote it", key))
	}
}

func (c *client) set(key string) {
	v := c.ledger.begin(key, false)
	c.ledger.end(key, v, c.call(resilient.OpSet, func(ctx context.Context) error {
		return c.kv.SetRaw(ctx, key, v.value(key))
	}))
}

func (c *client) delete(key string) {
	v := c.ledger.begin(key, true)
	c.ledger.end(key, v, c.call(resilient.OpDelete, func(ctx context.Context) error {
		return c.kv.Delete(ctx, key)
	}))
}

func (c *client) batchSet(keys []string) {
	c.writeBatch(resilient.OpBatchSet, keys, func(ctx context.Context, versions map[string]version) error {
		values := map[string][]byte{}
		for key, v := range versions {
			values[key] = v.value(key)
		}
		return c.kv.BatchSetRaw(ctx, values)
	})
}

func (c *client) batchDelete(keys []string) {
	c.writeBatch(resilient.OpBatchDelete, keys, func(ctx context.Context, _ map[string]version) error {
		return c.kv.BatchDelete(ctx, keys)
	})
}

func (c *client) writeBatch(op resilient.Op, keys []string, do func(context.Context, map[string]version) error) {
	versions := map[string]version{}
	for _, key := range keys {
		versions[key] = c.ledger.begin(key, op == resilient.OpBatchDelete)
	}
	err := c.call(op, func(ctx context.Context) error { return do(ctx, versions) })
	for key, v := range versions {
		c.ledger.end(key, v, err)
	}
}
