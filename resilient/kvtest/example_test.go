package kvtest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func ExampleFault() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	fault := kvtest.NewFault(kv)
	defer fault.Close()
	ctx := context.Background()

	fault.AckLost(1) // the write is applied, its answer is lost
	err = fault.SetRaw(ctx, "k", []byte("v"))
	fmt.Println(errors.Is(err, resilient.ErrAmbiguous))
	value, err := fault.GetRaw(ctx, "k")
	fmt.Println(string(value), err)

	fault.Down()
	fmt.Println(errors.Is(fault.Health(ctx), resilient.ErrRefused))
	fault.Up()
	fmt.Println(fault.Health(ctx), fault.Count(resilient.OpSet))
	// Output:
	// true
	// v <nil>
	// true
	// <nil> 1
}

func ExampleRecorder() {
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	var events kvtest.Recorder
	store, err := resilient.Wrap(kv, resilient.Config{Observer: &events})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	_ = store.SetRaw(context.Background(), "k", nil)
	fmt.Println(events.Count(resilient.KindCall), events.Of(resilient.KindDone)[0].Class)
	// Output: 1 ok
}
