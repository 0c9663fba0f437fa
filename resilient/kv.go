package resilient

import "context"

// KV is a key-value store. Every store of Holdfast and every decorator obeys
// the contract that package kvtest checks; the most important lines of it:
//
//   - A key is 1 to 512 bytes of valid UTF-8 without control characters, and
//     two keys are the same only if their bytes are.
//   - GetRaw of a key that is not there returns nil and an error that matches
//     ErrNotFound; an empty value is a non-nil empty slice.
//   - Delete of a key that is not there is no error.
//   - List returns the keys that start with the literal bytes of prefix, in
//     ascending byte order, never nil; the empty prefix lists all keys.
//   - The caller owns the slices it gets and keeps those it gives.
//   - A ctx that has ended is reported before there is any effect.
//   - Close may be called at any time and more than once; every later call,
//     Health included, returns ErrClosed.
//
// All methods are safe for concurrent use.
type KV interface {
	GetRaw(ctx context.Context, key string) ([]byte, error)
	SetRaw(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) ([]string, error)
	Close() error
}

// KVWithHealth is a KV that can tell whether it works. Health returns nil only
// if the store can serve reads and writes now.
type KVWithHealth interface {
	KV
	Health(ctx context.Context) error
}

// Batcher is implemented by stores that serve many keys in one call.
//
// BatchGetRaw leaves missing keys out of the map and returns a nil map with
// every error. A batch write applies its keys in no stated order; one that
// fails may have applied any of them. An empty batch does nothing. The number
// of keys is not limited.
type Batcher interface {
	BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error)
	BatchSetRaw(ctx context.Context, kv map[string][]byte) error
	BatchDelete(ctx context.Context, keys []string) error
}

// Classifier is implemented by stores that know their driver's errors.
// Classify returns OK for an error that it does not know.
type Classifier interface{ Classify(err error) Class }

// Limited is implemented by stores that know how large a key and a value may
// be.
type Limited interface{ Limits() Limits }

// Limits are the largest key and the largest value of a store, in bytes;
// 0 means unknown.
type Limits struct{ MaxKey, MaxValue int }
