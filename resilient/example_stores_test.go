package resilient_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
)

// plain is somebody's store that has no Health, and a word of its own for a
// miss.
type plain struct{ values map[string][]byte }

var errNoRow = errors.New("no such row")

func (p plain) GetRaw(_ context.Context, key string) ([]byte, error) {
	value, ok := p.values[key]
	if !ok {
		return nil, errNoRow
	}
	return value, nil
}
func (p plain) SetRaw(_ context.Context, key string, value []byte) error {
	p.values[key] = append([]byte{}, value...)
	return nil
}
func (p plain) Delete(_ context.Context, key string) error         { delete(p.values, key); return nil }
func (p plain) List(_ context.Context, _ string) ([]string, error) { return nil, nil }
func (p plain) Close() error                                       { return nil }

func ExampleNoHealth() {
	store, err := resilient.Wrap(resilient.NoHealth(plain{map[string][]byte{}}), resilient.Config{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	err = store.Health(context.Background())
	fmt.Println(errors.Is(err, resilient.ErrHealthUnknown), store.Status().Condition)
	fmt.Println(store.SetRaw(context.Background(), "k", nil)) // calls go through, and are all that the breaker goes by
	// Output:
	// true unknown
	// <nil>
}

func ExampleNotFoundIs() {
	store, err := resilient.Wrap(resilient.NoHealth(plain{map[string][]byte{}}), resilient.Config{
		Classify: resilient.NotFoundIs(errNoRow),
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	_, err = store.GetRaw(context.Background(), "k")
	fmt.Println(errors.Is(err, resilient.ErrNotFound), errors.Is(err, errNoRow))
	// Output: true true
}

func ExampleKeepOpen() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer kv.Close()
	store, err := resilient.Wrap(resilient.KeepOpen(kv), resilient.Config{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(store.Close())
	fmt.Println(errors.Is(store.SetRaw(ctx, "k", nil), resilient.ErrClosed))
	fmt.Println(kv.SetRaw(ctx, "k", nil))
	// Output:
	// <nil>
	// true
	// <nil>
}

func ExampleLeft() {
	hung := make(chan struct{})
	kv := resilient.Detach(sleepy{plain{map[string][]byte{}}, hung}, 0)
	defer kv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := kv.SetRaw(ctx, "k", nil) // the store ignores ctx; its caller does not
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, resilient.ErrAmbiguous))

	close(hung) // the store wakes
	<-resilient.Left(err)
	fmt.Println("now the write has been applied, or never will be")
	// Output:
	// true true
	// now the write has been applied, or never will be
}

// sleepy hangs until wake is closed, whatever ctx says.
type sleepy struct {
	plain
	wake chan struct{}
}

func (s sleepy) SetRaw(ctx context.Context, key string, value []byte) error {
	<-s.wake
	return s.plain.SetRaw(ctx, key, value)
}
func (s sleepy) Health(context.Context) error { return nil }

func ExampleBackendName() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer kv.Close()
	fmt.Println(resilient.BackendName(kv))
	fmt.Println(resilient.BackendName(resilient.Detach(kv, 0)))
	fmt.Println(resilient.BackendName(plain{}))
	// Output:
	// mem
	// mem
	// plain
}

func ExampleRoot() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer kv.Close()
	fmt.Println(resilient.Root(resilient.Detach(resilient.KeepOpen(kv), 0)) == resilient.KV(kv))
	// Output: true
}

// numbers is a Codec for values of type int.
type numbers struct{}

func (numbers) Marshal(v any) ([]byte, error)      { return fmt.Append(nil, v), nil }
func (numbers) Unmarshal(data []byte, v any) error { _, err := fmt.Sscan(string(data), v); return err }

func ExampleCodec() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer kv.Close()
	ctx := context.Background()
	visits := resilient.Of[int](kv, numbers{})
	fmt.Println(visits.Set(ctx, "ada", 3))
	n, err := visits.Get(ctx, "ada")
	fmt.Println(n, err)
	// Output:
	// <nil>
	// 3 <nil>
}
