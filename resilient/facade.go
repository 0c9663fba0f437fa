package resilient

import (
	"context"
	"sync"
	"sync/atomic"
)

// facade hides one thing of a store: its Close, or that it has no Health. After
// its own Close it refuses every call.
type facade struct {
	kv     KV
	health func(context.Context) error
	shut   func() error
	about  capabilities

	closed   atomic.Bool
	once     sync.Once
	closeErr error
}

// batchFacade is the facade of a Batcher.
type batchFacade struct {
	*facade
	batch Batcher
}

var (
	_ KVWithHealth = (*facade)(nil)
	_ Batcher      = batchFacade{}
	_ Classifier   = (*facade)(nil)
	_ Limited      = (*facade)(nil)
)

// NoHealth returns kv as a KVWithHealth whose Health answers ErrHealthUnknown:
// never "healthy", and no evidence against it either, so that a Store around it
// goes by its calls alone. It is a Batcher if kv is one; nil for a nil kv.
func NoHealth(kv KV) KVWithHealth {
	if isNil(kv) {
		return nil
	}
	return newFacade(&facade{kv: kv, shut: func() error { return closeContained(kv) }, health: func(context.Context) error { return ErrHealthUnknown }})
}

// KeepOpen returns kv without its Close: Close of what it returns closes only
// that, and kv goes on. It is for a store that is not its decorator's to close.
// It is a Batcher if kv is one; nil for a nil kv.
func KeepOpen(kv KVWithHealth) KVWithHealth {
	if isNil(kv) {
		return nil
	}
	return newFacade(&facade{kv: kv, health: kv.Health, shut: func() error { return nil }})
}

func newFacade(f *facade) KVWithHealth {
	f.about = capabilitiesOf(f.kv)
	if b, ok := f.kv.(Batcher); ok {
		return batchFacade{facade: f, batch: b}
	}
	return f
}

func (f *facade) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if f.closed.Load() {
		return nil, ErrClosed
	}
	return f.kv.GetRaw(ctx, key)
}

func (f *facade) SetRaw(ctx context.Context, key string, value []byte) error {
	if f.closed.Load() {
		return ErrClosed
	}
	return f.kv.SetRaw(ctx, key, value)
}

func (f *facade) Delete(ctx context.Context, key string) error {
	if f.closed.Load() {
		return ErrClosed
	}
	return f.kv.Delete(ctx, key)
}

func (f *facade) List(ctx context.Context, prefix string) ([]string, error) {
	if f.closed.Load() {
		return nil, ErrClosed
	}
	return f.kv.List(ctx, prefix)
}

func (f *facade) Health(ctx context.Context) error {
	if f.closed.Load() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.health(ctx)
}

// Close closes the facade, and the store behind it unless it hides that.
func (f *facade) Close() error {
	f.once.Do(func() {
		f.closed.Store(true)
		f.closeErr = errExited
		f.closeErr = f.shut()
	})
	return f.closeErr
}

// Unwrap returns the store behind the facade, for looking; nil if that has no
// Health.
func (f *facade) Unwrap() KVWithHealth {
	kv, _ := f.kv.(KVWithHealth)
	return kv
}

// inner is Unwrap for a store that may have no Health.
func (f *facade) inner() KV { return f.kv }

// Classify answers as the store behind the facade does.
func (f *facade) Classify(err error) Class { return f.about.classify(err) }

// Limits are those of the store behind the facade.
func (f *facade) Limits() Limits { return f.about.limits }

func (f batchFacade) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	if f.closed.Load() {
		return nil, ErrClosed
	}
	return f.batch.BatchGetRaw(ctx, keys)
}

func (f batchFacade) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	if f.closed.Load() {
		return ErrClosed
	}
	return f.batch.BatchSetRaw(ctx, kv)
}

func (f batchFacade) BatchDelete(ctx context.Context, keys []string) error {
	if f.closed.Load() {
		return ErrClosed
	}
	return f.batch.BatchDelete(ctx, keys)
}

// capabilities are the optional ones of a store for which "none" is an answer,
// so that a decorator may always have them.
type capabilities struct {
	own    func(error) Class // nil: it knows no error
	limits Limits
}

func capabilitiesOf(kv KV) (c capabilities) {
	if k, ok := kv.(Classifier); ok {
		c.own = k.Classify
	}
	if l, ok := kv.(Limited); ok {
		c.limits = l.Limits()
	}
	return c
}

func (c capabilities) classify(err error) Class {
	if c.own == nil {
		return OK
	}
	return c.own(err)
}
