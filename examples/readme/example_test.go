package readme_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func Example_store() {
	ctx := context.Background()
	db, err := boltkv.Open("guarded.db", boltkv.Config{})
	if err != nil {
		log.Fatal(err)
	}
	users, err := resilient.Wrap(db, resilient.Config{}) // asks for db's health from now on
	if err != nil {
		log.Fatal(err)
	}
	defer users.Close() // closes db too

	err = users.SetRaw(ctx, "ada", []byte("1815"))
	fmt.Println("set:", err)
	value, err := users.GetRaw(ctx, "ada")
	fmt.Println("get:", string(value), err)
	_, err = users.GetRaw(ctx, "bob")
	fmt.Println("miss:", errors.Is(err, resilient.ErrNotFound), users.State())
	_ = users.Breaker().Force(breaker.Open, "maintenance") // failing calls and checks open it too
	err = users.SetRaw(ctx, "ada", []byte("1852"))
	fmt.Println("refused, nothing applied:", errors.Is(err, resilient.ErrRefused))
	// Output:
	// set: <nil>
	// get: 1815 <nil>
	// miss: true closed
	// refused, nothing applied: true
}

func Example_failover() {
	bolt, err1 := boltkv.Open("users.db", boltkv.Config{})
	badger, err2 := badgerkv.Open("users.badger", badgerkv.Config{})
	users, err3 := failover.New(failover.Config{
		Writes:   failover.Mirror, // both are sent every write
		Complete: true,            // both are new: what one lacks, neither has
	}, bolt, badger) // the most wanted first
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal(err)
	}
	var receipt resilient.Receipt
	ctx := resilient.WithReceipt(context.Background(), &receipt)

	_ = users.Drain("bolt") // takes it out, as an outage would
	err := users.SetRaw(ctx, "ada", []byte("1815"))
	fmt.Printf("set: %v, by %s, owed to %d store\n", err, receipt.Store, receipt.Owed)
	_ = users.Release("bolt")
	fmt.Println("handed back:", users.Flush(ctx), users.Owed()) // now, in place of soon
	value, err := users.GetRaw(ctx, "ada")
	fmt.Printf("get: %s %v, by %s\n", value, err, receipt.Store)
	fmt.Println("close:", users.Close()) // closes bolt and badger
	// Output:
	// set: <nil>, by badger, owed to 1 store
	// handed back: <nil> map[]
	// get: 1815 <nil>, by bolt
	// close: <nil>
}

func Example_cache() {
	store, err1 := boltkv.Open("prices.db", boltkv.Config{})
	guarded, err2 := resilient.Wrap(store, resilient.Config{})
	cache, err3 := memkv.New(memkv.Config{MaxBytes: 64 << 20})
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal(err)
	}
	prices, err := failover.WithCache(guarded, cache, failover.CacheConfig{MaxStale: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	var receipt resilient.Receipt
	ctx := resilient.WithReceipt(context.Background(), &receipt)

	fmt.Println("set:", prices.SetRaw(ctx, "tea", []byte("4.20")))
	_ = guarded.Breaker().Force(breaker.Open, "maintenance") // as an outage would
	value, err := prices.GetRaw(ctx, "tea")
	fmt.Printf("get: %s %v, stale: %v\n", value, err, receipt.Stale)
	err = prices.SetRaw(ctx, "tea", []byte("4.50"))
	fmt.Println("writes are refused:", errors.Is(err, resilient.ErrRefused))
	fmt.Println("close:", prices.Close()) // closes the store and the cache
	// Output:
	// set: <nil>
	// get: 4.20 <nil>, stale: true
	// writes are refused: true
	// close: <nil>
}

func Example_theirs() {
	ctx := context.Background()
	users, err := resilient.Wrap(theirs, resilient.Config{
		Classify: resilient.NotFoundIs(errTheirs), // a miss of the store below is an answer, no failure
		NotFound: errTheirs,                       // a client above that knows no other miss finds its own
	})
	if err != nil {
		log.Fatal(err)
	}
	defer users.Close()

	_, err = users.GetRaw(ctx, "nobody")
	fmt.Println("theirs:", errors.Is(err, errTheirs), "ours:", errors.Is(err, resilient.ErrNotFound), users.State())
	values, err := users.BatchGetRaw(ctx, []string{"nobody"}) // though theirs has no batches
	fmt.Println("batch:", values, err)
	// Output:
	// theirs: true ours: true closed
	// batch: map[] <nil>
}

func Example_health() {
	users, err1 := boltkv.Open("asked.db", boltkv.Config{})
	prices, err2 := memkv.New(memkv.Config{})
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	check := resilient.CheckHealth(ctx, users) // ends with ctx's deadline or after 2 s, even if the store hangs
	fmt.Println("users:", check.Err, "slow:", check.Slow)

	fmt.Println("close prices:", prices.Close())
	all := resilient.Group{"users": users, "prices": prices}.CheckAll(ctx) // side by side
	fmt.Println("prices:", all["prices"].Err)

	resilient.Watch(ctx, users, resilient.Probe{Interval: time.Minute}, func(c resilient.Check) {
		fmt.Println("users, from now on until ctx ends:", c.Err)
		stop()
	})
	fmt.Println("close users:", users.Close())
	// Output:
	// users: <nil> slow: false
	// close prices: <nil>
	// prices: holdfast: store is closed
	// users, from now on until ctx ends: <nil>
	// close users: <nil>
}
