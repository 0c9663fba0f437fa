package kvtest

import (
	"context"
	"errors"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
)

// twisted is a good store some of whose methods are replaced.
type twisted struct {
	*memkv.KV
	get       func(ctx context.Context, key string) ([]byte, error)
	set       func(ctx context.Context, key string, value []byte) error
	del       func(ctx context.Context, key string) error
	list      func(ctx context.Context, prefix string) ([]string, error)
	batchGet  func(ctx context.Context, keys []string) (map[string][]byte, error)
	batchSet  func(ctx context.Context, kv map[string][]byte) error
	batchDel  func(ctx context.Context, keys []string) error
	health    func(ctx context.Context) error
	closeFunc func() error
}

func (w *twisted) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if w.get != nil {
		return w.get(ctx, key)
	}
	return w.KV.GetRaw(ctx, key)
}

func (w *twisted) SetRaw(ctx context.Context, key string, value []byte) error {
	if w.set != nil {
		return w.set(ctx, key, value)
	}
	return w.KV.SetRaw(ctx, key, value)
}

func (w *twisted) Delete(ctx context.Context, key string) error {
	if w.del != nil {
		return w.del(ctx, key)
	}
	return w.KV.Delete(ctx, key)
}

func (w *twisted) List(ctx context.Context, prefix string) ([]string, error) {
	if w.list != nil {
		return w.list(ctx, prefix)
	}
	return w.KV.List(ctx, prefix)
}

func (w *twisted) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	if w.batchGet != nil {
		return w.batchGet(ctx, keys)
	}
	return w.KV.BatchGetRaw(ctx, keys)
}

func (w *twisted) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	if w.batchSet != nil {
		return w.batchSet(ctx, kv)
	}
	return w.KV.BatchSetRaw(ctx, kv)
}

func (w *twisted) BatchDelete(ctx context.Context, keys []string) error {
	if w.batchDel != nil {
		return w.batchDel(ctx, keys)
	}
	return w.KV.BatchDelete(ctx, keys)
}

func (w *twisted) Health(ctx context.Context) error {
	if w.health != nil {
		return w.health(ctx)
	}
	return w.KV.Health(ctx)
}

func (w *twisted) Close() error {
	if w.closeFunc != nil {
		return w.closeFunc()
	}
	return w.KV.Close()
}

// rekey makes w take each key for fold(key), prefixes of lists included.
func (w *twisted) rekey(fold func(string) string) {
	w.get = func(ctx context.Context, key string) ([]byte, error) { return w.KV.GetRaw(ctx, fold(key)) }
	w.set = func(ctx context.Context, key string, value []byte) error { return w.KV.SetRaw(ctx, fold(key), value) }
	w.del = func(ctx context.Context, key string) error { return w.KV.Delete(ctx, fold(key)) }
	w.list = func(ctx context.Context, prefix string) ([]string, error) { return w.KV.List(ctx, fold(prefix)) }
}

// where makes w list the keys that match, in ascending order.
func (w *twisted) where(match func(prefix, key string) bool) {
	w.list = func(ctx context.Context, prefix string) ([]string, error) {
		keys, err := w.KV.List(ctx, "")
		return slices.DeleteFunc(keys, func(key string) bool { return !match(prefix, key) }), err
	}
}

// relist makes w change what List found.
func (w *twisted) relist(change func(keys []string) []string) {
	w.list = func(ctx context.Context, prefix string) ([]string, error) {
		keys, err := w.KV.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		return change(keys), nil
	}
}

func cleaned(key string) string { return strings.TrimPrefix(path.Clean("/"+key), "/") + "." }

// alias makes w keep values in a map of its own, without copying: those it is
// given, or, with out, those it hands out, which it then writes over.
func (w *twisted) alias(out bool) {
	kept := make(map[string][]byte)
	w.set = func(_ context.Context, key string, value []byte) error {
		switch old := kept[key]; {
		case !out:
			kept[key] = value
		case len(old) == len(value):
			copy(old, value)
		default:
			kept[key] = slices.Clone(value)
		}
		return nil
	}
	w.get = func(_ context.Context, key string) ([]byte, error) {
		if out {
			return kept[key], nil
		}
		return slices.Clone(kept[key]), nil
	}
	w.batchGet = func(_ context.Context, keys []string) (map[string][]byte, error) {
		values := make(map[string][]byte)
		for _, key := range keys {
			values[key] = slices.Clone(kept[key])
		}
		return values, nil
	}
}

// late makes w apply what is left to it when the next key is asked for.
func (w *twisted) late(twist func(leave func(map[string][]byte))) {
	var left []map[string][]byte
	w.get = func(ctx context.Context, key string) ([]byte, error) {
		for _, kv := range left {
			if err := w.KV.BatchSetRaw(ctx, kv); err != nil {
				return nil, err
			}
		}
		left = nil
		return w.KV.GetRaw(ctx, key)
	}
	twist(func(kv map[string][]byte) { left = append(left, kv) })
}

// matching makes w take a prefix for a pattern: the pairs are what of the quoted
// prefix stands for which regular expression.
func (w *twisted) matching(pairs ...string) {
	special := strings.NewReplacer(pairs...)
	w.where(func(prefix, key string) bool {
		return regexp.MustCompile("^(?s:" + special.Replace(regexp.QuoteMeta(prefix)) + ")").MatchString(key)
	})
}

// leakFile opens a file that stays open until end.
func (w *twisted) leakFile(end <-chan struct{}) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		return
	}
	go func() { <-end; _ = file.Close() }()
}

func (w *twisted) leakFileIn(method *func() error, end <-chan struct{}) {
	*method = func() error {
		w.leakFile(end)
		return w.KV.Close()
	}
}

// dawdle keeps a mistake open for as long as other calls need to meet it. To
// yield is not enough: on a busy machine the yielding goroutine may be the only
// one that runs.
func dawdle() { time.Sleep(time.Millisecond) }

// errPlanted is an error of no known kind.
var errPlanted = errors.New("planted")
