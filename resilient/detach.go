package resilient

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// defaultLeft is how many calls Detach leaves behind if nothing else is said.
const defaultLeft = 64

// detached runs each call of a store in a goroutine of its own.
type detached struct {
	kv    KVWithHealth
	about capabilities
	lane  lane

	closing  atomic.Bool
	once     sync.Once
	closeErr error
}

// batchDetached is the detached of a Batcher.
type batchDetached struct {
	*detached
	batch Batcher
}

var (
	_ KVWithHealth = (*detached)(nil)
	_ Batcher      = batchDetached{}
	_ Classifier   = (*detached)(nil)
	_ Limited      = (*detached)(nil)
)

// Detach returns kv with calls that their callers can leave, for stores that
// ignore their context: each call has a goroutine of its own, and a caller
// whose ctx ends goes on with ctx.Err(). Left tells when the call it left has
// ended; a write that was left matches ErrAmbiguous. Keys and values are copied
// first. A panic of the store becomes a *PanicError.
//
// At most limit calls (0 or less = 64) are under way or left behind at once.
// One more waits for a place until its ctx ends, which then matches ErrRefused,
// and gets ErrBusy while all the places are taken by calls left behind.
//
// Close closes kv; callers that still wait when that is done leave with
// ErrClosed. The result is a Batcher if kv is one; nil for a nil kv.
func Detach(kv KVWithHealth, limit int) KVWithHealth {
	if isNil(kv) {
		return nil
	}
	if limit <= 0 {
		limit = defaultLeft
	}
	d := &detached{kv: kv, about: capabilitiesOf(kv)}
	d.lane.init(limit)
	if b, ok := kv.(Batcher); ok {
		return batchDetached{detached: d, batch: b}
	}
	return d
}

func (d *detached) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return runDetached(ctx, d, OpGet, func(ctx context.Context) ([]byte, error) { return d.kv.GetRaw(ctx, key) })
}

func (d *detached) SetRaw(ctx context.Context, key string, value []byte) error {
	value = bytes.Clone(value)
	return d.run(ctx, OpSet, func(ctx context.Context) error { return d.kv.SetRaw(ctx, key, value) })
}

func (d *detached) Delete(ctx context.Context, key string) error {
	return d.run(ctx, OpDelete, func(ctx context.Context) error { return d.kv.Delete(ctx, key) })
}

func (d *detached) List(ctx context.Context, prefix string) ([]string, error) {
	return runDetached(ctx, d, OpList, func(ctx context.Context) ([]string, error) { return d.kv.List(ctx, prefix) })
}

func (d *detached) Health(ctx context.Context) error { return d.run(ctx, OpHealth, d.kv.Health) }

// Close closes the store behind d, once, and returns what that returned.
func (d *detached) Close() error {
	d.once.Do(func() {
		d.closing.Store(true)
		close(d.lane.closing)
		defer close(d.lane.closed)
		d.closeErr = errExited
		d.closeErr = closeContained(d.kv)
	})
	return d.closeErr
}

// Unwrap returns the store behind d, for looking.
func (d *detached) Unwrap() KVWithHealth { return d.kv }

// Classify answers as the store behind d does.
func (d *detached) Classify(err error) Class { return d.about.classify(err) }

// Limits are those of the store behind d.
func (d *detached) Limits() Limits { return d.about.limits }

func (d *detached) leftBehind() int { return d.lane.leftBehind() }

func (d batchDetached) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	keys = slices.Clone(keys)
	return runDetached(ctx, d.detached, OpBatchGet, func(ctx context.Context) (map[string][]byte, error) {
		return d.batch.BatchGetRaw(ctx, keys)
	})
}

func (d batchDetached) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	kv = maps.Clone(kv)
	for key, value := range kv {
		kv[key] = bytes.Clone(value)
	}
	return d.run(ctx, OpBatchSet, func(ctx context.Context) error { return d.batch.BatchSetRaw(ctx, kv) })
}

func (d batchDetached) BatchDelete(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return d.run(ctx, OpBatchDelete, func(ctx context.Context) error { return d.batch.BatchDelete(ctx, keys) })
}

// run is runDetached for a call without a result.
func (d *detached) run(ctx context.Context, op Op, call func(context.Context) error) error {
	_, err := runDetached(ctx, d, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// runDetached makes call in a goroutine of its own and waits for it until ctx
// ends or the store behind d has been closed.
func runDetached[T any](ctx context.Context, d *detached, op Op, call func(context.Context) (T, error)) (T, error) {
	var none T
	if d.closing.Load() {
		return none, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if err := d.lane.enter(ctx); err != nil {
		return none, err
	}
	within := WithReceipt(ctx, nil) // the caller may have its Receipt back at any time
	var value T                     // the goroutine's until done
	p := &place{done: make(chan struct{}), err: errExited}
	go func() {
		defer d.lane.exit(p)
		defer func() {
			if v := recover(); v != nil {
				p.err = &PanicError{Value: v}
			}
		}()
		value, p.err = call(within)
	}()
	if err := d.lane.wait(ctx, p); err != nil {
		return none, &leftError{op: op, err: err, done: p.done}
	}
	if p.err != nil {
		return none, p.err
	}
	return value, nil
}
