package resilient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func ExampleCheckHealth() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	defer kv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // without it the check has 2 s
	defer cancel()
	check := resilient.CheckHealth(ctx, kv)
	fmt.Println(check.Err, check.Slow)
	// Output: <nil> false
}

func ExampleGroup_CheckAll() {
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	defer first.Close()
	_ = second.Close() // as if it were down

	group := resilient.Group{"first": first, "second": second}
	for name, check := range group.CheckAll(context.Background()) {
		if check.Err != nil {
			fmt.Println(name, "is unhealthy:", check.Err)
		}
	}
	fmt.Println(group.AllHealthy(context.Background()))
	// Output:
	// second is unhealthy: holdfast: store is closed
	// false
}

func ExampleStore_Status() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{Name: "sessions"})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.Health(context.Background()); err != nil { // or wait for the first check
		panic(err)
	}
	st := store.Status()
	fmt.Println(st.Name, st.Kind, st.Condition, st.State)
	// Output: sessions mem up closed
}

// lines is an Observer that keeps what it is told as text.
type lines struct{ told []string }

func (l *lines) Observe(_ context.Context, e resilient.Event) {
	l.told = append(l.told, fmt.Sprintf("%s %s on %s: %s", e.Kind, e.Op, e.Store, e.Class))
}

func ExampleTee() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	var text lines
	var events kvtest.Recorder
	store, err := resilient.Wrap(kv, resilient.Config{
		Probe:    resilient.Probe{Interval: -1}, // text may be used by one goroutine only
		Observer: resilient.Tee(&text, &events),
	})
	if err != nil {
		panic(err)
	}
	_, _ = store.GetRaw(context.Background(), "nothing")
	_ = store.Close()
	fmt.Println(strings.Join(text.told, "\n"))
	fmt.Println(len(events.Events()), "events")
	// Output:
	// call get on mem: missing
	// done get on mem: missing
	// 2 events
}

func ExampleError() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{Name: "sessions"})
	if err != nil {
		panic(err)
	}
	_ = store.Close()
	err = store.SetRaw(context.Background(), "k", nil)
	var failed *resilient.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Op, failed.Store, failed.Class, failed.Attempts)
	}
	fmt.Println(err)
	fmt.Println(errors.Is(err, resilient.ErrRefused), errors.Is(err, resilient.ErrAmbiguous))
	// Output:
	// set sessions refused 0
	// set on sessions: refused: holdfast: store is closed
	// true false
}

func ExampleRetry() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	fault := kvtest.NewFault(kv)
	store, err := resilient.Wrap(fault, resilient.Config{
		Retry: resilient.Retry{Attempts: 3, Base: time.Millisecond},
		Probe: resilient.Probe{Interval: -1},
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	ctx := context.Background()

	fault.FailWrites(resilient.ErrRefused) // certainly not applied: tried again
	_ = store.SetRaw(ctx, "k", nil)
	fmt.Println("refused:", fault.Count(resilient.OpSet), "attempts")
	fault.FailWrites(errors.New("reset")) // may have been applied: left alone, unless AmbiguousWrites is set
	_ = store.SetRaw(ctx, "k", nil)
	fmt.Println("failed:", fault.Count(resilient.OpSet)-3, "attempt")
	// Output:
	// refused: 3 attempts
	// failed: 1 attempt
}

func ExampleDefaultClassify() {
	for _, err := range []error{nil, resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrRefused, errors.New("reset")} {
		fmt.Println(resilient.DefaultClassify(err))
	}
	// Output:
	// ok
	// missing
	// invalid
	// refused
	// failed
}

func ExampleCheckKey() {
	for _, key := range []string{"user/42", "", "a\nb", strings.Repeat("k", 513)} {
		fmt.Println(resilient.CheckKey(key))
	}
	// Output:
	// <nil>
	// holdfast: empty key
	// holdfast: invalid key
	// holdfast: key too large
}

func ExampleReceiptFrom() {
	// A decorator of one's own, the outermost layer of its calls, says who
	// answered.
	var receipt resilient.Receipt
	ctx := resilient.WithReceipt(context.Background(), &receipt)
	if r := resilient.ReceiptFrom(ctx); r != nil {
		*r = resilient.Receipt{Store: "mine"}
	}
	fmt.Println(receipt.Store)
	// Output: mine
}

func ExampleWithTimeout() {
	ctx := resilient.WithTimeout(context.Background(), time.Millisecond)
	defer ctx.End()
	<-ctx.Done()
	fmt.Println(ctx.Err(), context.Cause(ctx) == resilient.ErrTimeout)
	// Output: context deadline exceeded true
}

func ExampleStore_Join() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	// What package failover does with each of its members.
	member, err := store.Join("orders", resilient.Hooks{Name: "first"})
	if err != nil {
		panic(err)
	}
	defer member.Leave()
	_, err = store.Join("stocks", resilient.Hooks{})
	fmt.Println(err)
	fmt.Println(member.SetRaw(context.Background(), "k", nil))
	// Output:
	// resilient: store "mem" cannot join group "stocks": it is in group "orders" already
	// <nil>
}

func ExampleTell() {
	var events kvtest.Recorder
	resilient.Tell(context.Background(), &events, resilient.Event{Kind: resilient.KindStale, Store: "mine"})
	resilient.Tell(context.Background(), nil, resilient.Event{}) // nobody listens
	fmt.Println(events.Count(resilient.KindStale))
	// Output: 1
}
