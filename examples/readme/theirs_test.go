package readme_test

import (
	"context"
	"errors"
	"strings"
)

// theirs is the foreign store of the README's reader: the methods of a KiviGo
// backend, and nothing of Holdfast.
var theirs = backend{}

// errTheirs is how it says that a key is not there.
var errTheirs = errors.New("key not found")

type backend map[string][]byte

func (b backend) GetRaw(_ context.Context, key string) ([]byte, error) {
	value, ok := b[key]
	if !ok {
		return nil, errTheirs
	}
	return value, nil
}

func (b backend) SetRaw(_ context.Context, key string, value []byte) error {
	b[key] = append([]byte{}, value...)
	return nil
}

func (b backend) Delete(_ context.Context, key string) error {
	delete(b, key)
	return nil
}

func (b backend) List(_ context.Context, prefix string) (keys []string, err error) {
	for key := range b {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (b backend) Health(context.Context) error { return nil }
func (b backend) Close() error                 { return nil }
