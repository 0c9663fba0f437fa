package kvtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedBasics are mistakes about values, missing keys and the empty key.
var plantedBasics = []mistake{
	{"nil for an empty value", "Values/Empty_IsNonNil", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			return append([]byte(nil), value...), err
		}
	}},
	{"nil for an empty value in a batch", "Values/BatchGet_EmptyValuePresentNonNil", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, err := w.KV.BatchGetRaw(ctx, keys)
			for key, value := range values {
				values[key] = append([]byte(nil), value...)
			}
			return values, err
		}
	}},
	{"an empty value is not stored", "Values/EmptyVsMissingDistinguishable", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if len(value) == 0 {
				return w.KV.Delete(ctx, key)
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
	{"values end at NUL", "Values/ValueWithNUL", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			before, _, _ := strings.Cut(string(value), "\x00")
			return w.KV.SetRaw(ctx, key, []byte(before))
		}
	}},
	{"values are text", "Values/AllByteValues0to255", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			return w.KV.SetRaw(ctx, key, []byte(strings.ToValidUTF8(string(value), "\ufffd")))
		}
	}},
	{"values end at 64 KiB", "Values/Large_512KiB_OK", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			return w.KV.SetRaw(ctx, key, value[:min(len(value), 64<<10)])
		}
	}},
	{"a value over the limit replaces the old one before it is refused", "Values/OverMaxValue_ErrValueTooLarge_OldValueKept", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			err := w.KV.SetRaw(ctx, key, value)
			if errors.Is(err, resilient.ErrValueTooLarge) {
				return errors.Join(w.KV.Delete(ctx, key), err)
			}
			return err
		}
	}},
	{"a batch with a value over the limit is applied in part", "Values/BatchSet_OverMaxValueInside_NothingApplied", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			var errs []error
			for key, value := range kv {
				errs = append(errs, w.KV.SetRaw(ctx, key, value))
			}
			return errors.Join(errs...)
		}
	}},
	{"nil, nil for a missing key", "Basic/GetMissing_ErrNotFound_NilValue", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if errors.Is(err, resilient.ErrNotFound) {
				return nil, nil
			}
			return value, err
		}
	}},
	{"Delete of a missing key is an error", "Basic/DeleteMissing_NoError", func(w *twisted, _ <-chan struct{}) {
		w.del = func(ctx context.Context, key string) error {
			if _, err := w.KV.GetRaw(ctx, key); err != nil {
				return err
			}
			return w.KV.Delete(ctx, key)
		}
	}},
	{"Delete leaves an empty value", "Basic/DeleteThenGet_ErrNotFound", func(w *twisted, _ <-chan struct{}) {
		w.del = func(ctx context.Context, key string) error { return w.KV.SetRaw(ctx, key, nil) }
	}},
	{"Delete takes a prefix", "Basic/DeleteLeavesOthers", func(w *twisted, _ <-chan struct{}) {
		w.del = func(ctx context.Context, key string) error {
			keys, err := w.KV.List(ctx, key)
			return errors.Join(err, w.KV.BatchDelete(ctx, keys))
		}
	}},
	{"Set keeps what is there", "Basic/SetOverwrites", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if _, err := w.KV.GetRaw(ctx, key); err == nil {
				return nil
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
	{"a deleted key cannot come back", "Basic/SetAfterDelete", func(w *twisted, _ <-chan struct{}) {
		var gone sync.Map
		w.del = func(ctx context.Context, key string) error { gone.Store(key, true); return w.KV.Delete(ctx, key) }
		w.set = func(ctx context.Context, key string, value []byte) error {
			if _, ok := gone.Load(key); ok {
				return nil
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},

	{"the empty key is a key", "EmptyKey/Set_EmptyKey", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			return w.KV.SetRaw(ctx, key+"_", value)
		}
	}},
	{"a batch get leaves the empty key out", "EmptyKey/BatchGet_EmptyKeyInside", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			return w.KV.BatchGetRaw(ctx, slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == "" }))
		}
	}},
	{"a batch with the empty key is applied in part", "EmptyKey/BatchSet_EmptyKeyInside_NothingApplied", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			for key, value := range kv {
				if err := w.KV.SetRaw(ctx, key, value); err != nil {
					return err
				}
			}
			return nil
		}
	}},
	{"a batch delete with the empty key is applied in part", "EmptyKey/BatchDelete_EmptyKeyInside_NothingDeleted", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			for _, key := range keys {
				if err := w.KV.Delete(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}
	}},
}
