package resilient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Codec turns values into bytes and back. It must be safe for concurrent use.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// JSON is the Codec of encoding/json.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Typed is a KV whose values are of type T. Make it with Of. It is as safe for
// concurrent use as the KV is.
type Typed[T any] struct {
	kv    KV
	codec Codec
}

// Of returns kv with values of type T, encoded by c; nil = JSON.
func Of[T any](kv KV, c Codec) Typed[T] {
	if c == nil {
		c = JSON
	}
	return Typed[T]{kv: kv, codec: c}
}

// Get returns the value of key. The error is kv's, or one that says that the
// bytes are no T.
func (t Typed[T]) Get(ctx context.Context, key string) (T, error) {
	var v, none T
	data, err := t.kv.GetRaw(ctx, key)
	if err != nil {
		return none, err
	}
	if err := t.codec.Unmarshal(data, &v); err != nil {
		return none, &codecError{verb: "decode", typ: fmt.Sprintf("%T", &none), err: err}
	}
	return v, nil
}

// Set makes v the value of key. Nothing is sent if v cannot be encoded.
func (t Typed[T]) Set(ctx context.Context, key string, v T) error {
	data, err := t.codec.Marshal(v)
	if err != nil {
		return &codecError{verb: "encode", typ: fmt.Sprintf("%T", &v), err: err}
	}
	return t.kv.SetRaw(ctx, key, data)
}

// Delete removes key. That it is not there is no error.
func (t Typed[T]) Delete(ctx context.Context, key string) error { return t.kv.Delete(ctx, key) }

// List returns the keys that start with prefix, in ascending byte order.
func (t Typed[T]) List(ctx context.Context, prefix string) ([]string, error) {
	return t.kv.List(ctx, prefix)
}

// codecError is a value that could not be encoded or decoded. Codecs quote
// values in their errors, so its text names only the type; errors.Is and
// errors.As find what the codec said. That is never ErrNotFound: a codec that
// misses something has not said that the key is missing.
type codecError struct {
	verb string
	typ  string // a pointer to T, which has a name even if T is an interface
	err  error
}

func (e *codecError) Error() string {
	return fmt.Sprintf("resilient: cannot %s a value of type %s", e.verb, e.typ[1:])
}

func (e *codecError) Is(target error) bool { return target != ErrNotFound && errors.Is(e.err, target) }

func (e *codecError) As(target any) bool { return errors.As(e.err, target) }
