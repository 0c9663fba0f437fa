package backends_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
)

// recorder takes down what clients ask and what they are told.
type recorder interface {
	begin(client int, ins []linear.In) (ended func(got map[string][]byte, err error))
}

// batchKV is what clients call.
type batchKV interface {
	resilient.KV
	resilient.Batcher
}

// load is many clients that call one store, each on a few keys that others share,
// without a deadline of their own.
type load struct {
	kv    batchKV
	rec   recorder
	keys  []string
	seed  uint64
	first int  // number of the first client: no two of a history are the same
	life  int  // of the process: no two values of a history are the same
	busy  bool // clients do nothing but call, and call List and BatchDelete too
	pad   int  // bytes of padding that each value has in the store
	// phase says what is going on when a call begins; nil = nothing is told
	// apart, and no times are kept.
	phase func() string

	mu     sync.Mutex                 // guards all below
	took   map[string][]time.Duration // by phase
	failed []error                    // the first few
}

// maxFailed is how many failed calls are kept for the report.
const maxFailed = 5

// run lets n clients call until stop is closed.
func (l *load) run(n int, stop <-chan struct{}) {
	var clients sync.WaitGroup
	for id := l.first; id < l.first+n; id++ {
		clients.Go(func() { l.client(id, stop) })
	}
	clients.Wait()
}

func (l *load) client(id int, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(l.seed, uint64(id)<<32|uint64(l.life)))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if !l.busy {
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Microsecond) // callers have more to do than to call
		}
		ins := l.choose(rng, id, fmt.Sprintf("%d.%d.%d", l.life, id, n))
		phase := ""
		if l.phase != nil {
			phase = l.phase()
		}
		ended, began := l.rec.begin(id, ins), time.Now()
		got, err := l.call(ins)
		took := time.Since(began)
		ended(got, err)
		l.note(phase, took, err)
	}
}

func (l *load) note(phase string, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.took == nil {
		l.took = map[string][]time.Duration{}
	}
	if l.phase != nil {
		l.took[phase] = append(l.took[phase], took)
	}
	if err != nil && len(l.failed) < maxFailed {
		l.failed = append(l.failed, err)
	}
}

// distribution returns one line of quantiles for each phase, the slowest call in
// milliseconds, and the number of calls.
func (l *load) distribution() (lines []string, slowest int64, calls int) {
	for _, phase := range slices.Sorted(maps.Keys(l.took)) {
		took := slices.Sorted(slices.Values(l.took[phase]))
		at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
		lines = append(lines, fmt.Sprintf("phase=%s calls=%d p50=%v p99=%v p99.9=%v max=%v", phase, len(took), at(0.5), at(0.99), at(0.999), at(1)))
		slowest, calls = max(slowest, at(1).Milliseconds()), calls+len(took)
	}
	return lines, slowest, calls
}

// reach is how many keys a client calls for. Those of many clients overlap, but
// not all of them share one: while a server is frozen every client comes to wait
// for one of its keys, and no checker can tell in what order 48 calls of one key
// took effect that all began together.
const reach = 12

// choose returns what one call asks: one key mostly, some of them at times.
func (l *load) choose(rng *rand.Rand, id int, value string) []linear.In {
	near := min(reach, len(l.keys))
	n := rng.IntN(near)
	n, m := 2*id+n, 2*id+(n+1+rng.IntN(near-1))%near
	n, m = n%len(l.keys), m%len(l.keys)
	key, other := l.keys[n], l.keys[m]
	var several []linear.In
	switch p := rng.IntN(100); {
	case l.busy && p < 1:
		for _, key := range l.keys {
			several = append(several, linear.In{Op: linear.Listed, Key: key})
		}
		return several
	case l.busy && p < 4:
		return []linear.In{{Op: linear.Delete, Key: key}, {Op: linear.Delete, Key: other}}
	case p < 45:
		return []linear.In{{Op: linear.Read, Key: key}}
	case p < 80:
		return []linear.In{{Op: linear.Write, Key: key, Value: value}}
	case p < 90:
		return []linear.In{{Op: linear.Delete, Key: key}}
	case p < 95:
		return []linear.In{{Op: linear.Write, Key: key, Value: value}, {Op: linear.Write, Key: other, Value: value}}
	}
	for i := range min(batch, len(l.keys)) {
		several = append(several, linear.In{Op: linear.Read, Key: l.keys[(n+i)%len(l.keys)]})
	}
	return several
}

// batch is how many keys are read at once.
const batch = 6

// call makes the call that ins ask for and returns what there is under their
// keys, if they are reads.
func (l *load) call(ins []linear.In) (got map[string][]byte, err error) {
	ctx := context.Background()
	keys := make([]string, len(ins))
	for i, in := range ins {
		keys[i] = in.Key
	}
	switch in := ins[0]; {
	case in.Op == linear.Listed:
		there, err := l.kv.List(ctx, "")
		got = map[string][]byte{}
		for _, key := range there {
			got[key] = nil
		}
		return got, err
	case in.Op == linear.Read && len(ins) > 1:
		got, err = l.kv.BatchGetRaw(ctx, keys)
		for key, value := range got {
			got[key] = unpadded(value)
		}
		return got, err
	case in.Op == linear.Read:
		value, err := l.kv.GetRaw(ctx, in.Key)
		if errors.Is(err, resilient.ErrNotFound) {
			return nil, nil
		}
		return map[string][]byte{in.Key: unpadded(value)}, err
	case in.Op == linear.Delete && len(ins) > 1:
		return nil, l.kv.BatchDelete(ctx, keys)
	case in.Op == linear.Delete:
		return nil, l.kv.Delete(ctx, in.Key)
	case len(ins) > 1:
		values := map[string][]byte{}
		for _, in := range ins {
			values[in.Key] = l.padded(in.Value)
		}
		return nil, l.kv.BatchSetRaw(ctx, values)
	default:
		return nil, l.kv.SetRaw(ctx, in.Key, l.padded(in.Value))
	}
}

// padded returns what is stored for value.
func (l *load) padded(value string) []byte {
	return append([]byte(value), bytes.Repeat(padding, l.pad)...)
}

// unpadded returns the value without its padding, in memory of its own.
func unpadded(stored []byte) []byte { return bytes.Clone(bytes.TrimRight(stored, string(padding))) }

var padding = []byte{' '} // no value ends with it

// inMemory records into a history of this process.
type inMemory struct{ h *linear.History }

func (m inMemory) begin(client int, ins []linear.In) func(map[string][]byte, error) {
	call := m.h.Begin(client, nil)
	return func(got map[string][]byte, err error) { told(call, ins, got, err) }
}

// writes reports whether ins ask for a change.
func writes(ins []linear.In) bool { return ins[0].Op == linear.Write || ins[0].Op == linear.Delete }

// told notes how a call ended.
func told(call linear.Call, ins []linear.In, got map[string][]byte, err error) {
	if writes(ins) {
		call.Wrote(err, ins...)
		return
	}
	for _, in := range ins {
		value, ok := got[in.Key]
		if err == nil && !ok {
			call.Read(in, nil, resilient.ErrNotFound)
			continue
		}
		call.Read(in, value, err)
	}
}
