package kvtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedErrors are mistakes about what an error is and says.
var plantedErrors = []mistake{
	{"a miss is any error", "Errors/NotFound_IsSentinel", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if err != nil {
				return nil, errPlanted
			}
			return value, nil
		}
	}},
	{"an outage looks like a miss as well", "Errors/NotFound_IsSentinel", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if err != nil {
				return nil, errors.Join(resilient.ErrUnavailable, err)
			}
			return value, nil
		}
	}},
	{"errors name the key", "Errors/NoSecretsInErrors", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("get %s: %w", key, err)
			}
			return value, nil
		}
	}},
	{"errors show the value", "Errors/NoSecretsInErrors", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if err := w.KV.SetRaw(ctx, key, value); err != nil {
				return fmt.Errorf("set to %.20s: %w", value, err)
			}
			return nil
		}
	}},
}
