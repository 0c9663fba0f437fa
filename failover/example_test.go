package failover_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func ExampleNew() {
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	users, err := failover.New(failover.Config{
		Name:     "users",
		Writes:   failover.Mirror, // every member is sent every write
		Complete: true,            // both are empty: what one lacks, neither has
	}, first, second) // the most wanted first
	if err != nil {
		panic(err)
	}
	defer users.Close() // closes both

	ctx := context.Background()
	fmt.Println(users.SetRaw(ctx, "ada", []byte("1815")))
	value, err := users.GetRaw(ctx, "ada")
	fmt.Println(string(value), err, users.Active())
	_, err = users.GetRaw(ctx, "bob")
	fmt.Println(errors.Is(err, resilient.ErrNotFound))
	// Output:
	// <nil>
	// 1815 <nil> mem
	// true
}

func ExampleNew_handoff() {
	first, _ := memkv.New(memkv.Config{})
	buffer, _ := memkv.New(memkv.Config{})
	users, err := failover.New(failover.Config{}, first, buffer) // the first holds everything
	if err != nil {
		panic(err)
	}
	defer users.Close()
	ctx := context.Background()
	_ = users.SetRaw(ctx, "ada", []byte("1815"))

	_ = users.Drain("mem") // as an outage would
	fmt.Println(users.SetRaw(ctx, "eve", []byte("1915")), users.Owed())
	_, err = users.GetRaw(ctx, "ada") // the buffer has what is written meanwhile, and nothing else
	fmt.Println(errors.Is(err, failover.ErrUncertain), errors.Is(err, resilient.ErrNotFound))

	_ = users.Release("mem")
	fmt.Println(users.Flush(ctx), users.Owed())
	keys, err := buffer.List(ctx, "")
	fmt.Println(keys, err) // handed back, and removed from the buffer
	// Output:
	// <nil> map[mem:1]
	// true false
	// <nil> map[]
	// [] <nil>
}

func ExampleKV_Rebuild() {
	first, _ := memkv.New(memkv.Config{})
	added, _ := memkv.New(memkv.Config{})
	ctx := context.Background()
	_ = first.SetRaw(ctx, "ada", []byte("1815")) // from before there was a group

	users, err := failover.New(failover.Config{Writes: failover.Mirror}, first, added)
	if err != nil {
		panic(err)
	}
	defer users.Close()
	fmt.Println(users.Rebuild(ctx, "mem-2", nil)) // from now on its misses are answers
	_ = users.Drain("mem")
	value, err := users.GetRaw(ctx, "ada")
	fmt.Println(string(value), err)
	_, err = users.GetRaw(ctx, "bob")
	fmt.Println(errors.Is(err, resilient.ErrNotFound))
	// Output:
	// <nil>
	// 1815 <nil>
	// true
}

func ExampleError() {
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	one, two := kvtest.NewFault(first), kvtest.NewFault(second)
	users, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true}, one, two)
	if err != nil {
		panic(err)
	}
	defer users.Close()
	one.FailReads(resilient.ErrRefused)
	two.FailReads(errors.New("connection reset"))

	_, err = users.GetRaw(context.Background(), "ada")
	var failed *failover.Error
	if errors.As(err, &failed) {
		for _, m := range failed.Members {
			fmt.Println(m.Store, m.Class)
		}
	}
	// One of them may have failed after it was asked, so it is no refusal.
	fmt.Println(errors.Is(err, resilient.ErrUnavailable), errors.Is(err, resilient.ErrRefused))
	// Output:
	// mem refused
	// mem-2 failed
	// true false
}

func ExampleMemoryJournal() {
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	users, err := failover.New(failover.Config{
		Writes:  failover.Mirror,
		Journal: failover.MemoryJournal(1), // at most one key may be owed or under way
	}, first, second)
	if err != nil {
		panic(err)
	}
	defer users.Close()
	ctx := context.Background()
	_ = users.Drain("mem-2")
	fmt.Println(users.SetRaw(ctx, "ada", nil), users.Owed())
	err = users.SetRaw(ctx, "eve", nil)
	fmt.Println(errors.Is(err, failover.ErrJournalFull), errors.Is(err, resilient.ErrRefused))
	_ = users.Release("mem-2")
	fmt.Println(users.Flush(ctx))
	// Output:
	// <nil> map[mem-2:1]
	// true true
	// <nil>
}

func ExampleJournal() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	journal, err := boltjournal.Open(filepath.Join(dir, "owed.db"), boltjournal.Config{})
	if err != nil {
		panic(err)
	}
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	users, err := failover.New(failover.Config{Writes: failover.MirrorStrict, Journal: journal}, first, second)
	if err != nil {
		panic(err) // and the journal is still ours to close
	}
	fmt.Println(users.SetRaw(context.Background(), "ada", []byte("1815")))
	fmt.Println(users.Close()) // closes the journal too
	// Output:
	// <nil>
	// <nil>
}

func ExampleWithCache() {
	kv, _ := memkv.New(memkv.Config{})
	store := kvtest.NewFault(kv)
	guarded, err := resilient.Wrap(store, resilient.Config{})
	if err != nil {
		panic(err)
	}
	cache, _ := memkv.New(memkv.Config{MaxBytes: 64 << 20})
	prices, err := failover.WithCache(guarded, cache, failover.CacheConfig{MaxStale: time.Hour})
	if err != nil {
		panic(err)
	}
	defer prices.Close() // closes both

	var receipt resilient.Receipt
	ctx := resilient.WithReceipt(context.Background(), &receipt)
	_ = prices.SetRaw(ctx, "tea", []byte("4.20"))
	store.Down()
	value, err := prices.GetRaw(ctx, "tea")
	fmt.Println(string(value), err, receipt.Stale)
	_, err = prices.GetRaw(ctx, "coffee")
	fmt.Println(errors.Is(err, resilient.ErrUnavailable)) // not cached: the outage shows
	// Output:
	// 4.20 <nil> true
	// true
}
