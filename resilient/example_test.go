package resilient_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

func ExampleWrap() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{Timeout: 200 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	defer func() { _ = store.Close() }()
	ctx := context.Background()

	fmt.Println(store.SetRaw(ctx, "greeting", []byte("hello")))
	value, err := store.GetRaw(ctx, "greeting")
	fmt.Println(string(value), err)
	_, err = store.GetRaw(ctx, "nothing")
	fmt.Println(errors.Is(err, resilient.ErrNotFound))

	// An operator takes the store out of service.
	_ = store.Breaker().Force(breaker.Open, "maintenance")
	err = store.SetRaw(ctx, "greeting", []byte("hi"))
	fmt.Println(errors.Is(err, resilient.ErrRefused), store.Name(), store.State())
	// Output:
	// <nil>
	// hello <nil>
	// true
	// true mem open
}

func ExampleOf() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = kv.Close() }()
	type session struct{ User string }
	sessions := resilient.Of[session](kv, nil) // JSON
	ctx := context.Background()
	_ = sessions.Set(ctx, "s:1", session{User: "ada"})
	s, err := sessions.Get(ctx, "s:1")
	fmt.Println(s.User, err)
	// Output: ada <nil>
}

func ExampleWithReceipt() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{Name: "sessions"})
	if err != nil {
		panic(err)
	}
	defer func() { _ = store.Close() }()
	var receipt resilient.Receipt
	ctx := resilient.WithReceipt(context.Background(), &receipt)
	_ = store.SetRaw(ctx, "k", nil)
	fmt.Println(receipt.Store, receipt.Stale)
	// Output: sessions false
}

func ExampleWatch() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = kv.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	resilient.Watch(ctx, kv, resilient.Probe{}, func(c resilient.Check) {
		fmt.Println("healthy:", c.Err == nil)
		cancel()
	})
	// Output: healthy: true
}

func ExampleDetach() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	// A store that ignores its ctx: callers can leave it now.
	store, err := resilient.Wrap(resilient.Detach(kv, 16), resilient.Config{})
	if err != nil {
		panic(err)
	}
	fmt.Println(store.SetRaw(context.Background(), "k", nil), store.Close())
	// Output: <nil> <nil>
}
