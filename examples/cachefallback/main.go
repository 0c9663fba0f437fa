// Cachefallback takes a store away and goes on reading. A bbolt file in a
// temporary folder is the store, behind a switch that makes it fail, and memory
// is the cache:
//
//	$ go run ./examples/cachefallback
//	the store works:   "Ada" from bolt
//	the store is away: "Ada" from mem, 300ms old
//	1.2s later:        get on bolt: refused: kvtest: the store is down
//	a write:           set on bolt: refused: kvtest: the store is down
//
// What the cache answers is marked and has an age, a value older than MaxStale
// is no answer, and a write that the store does not take is refused. Once health
// checks have found the store away, its error is that the breaker is open.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func main() {
	if err := start(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "cachefallback")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	names, store, err := open(filepath.Join(dir, "names.db"))
	if err != nil {
		return err
	}
	return errors.Join(play(ctx, out, names, store), names.Close()) // closes store and cache too
}

// open returns the file at path behind a cache, and the switch that takes it
// away.
func open(path string) (*failover.Cached, *kvtest.Fault, error) {
	memory, err := memkv.New(memkv.Config{MaxBytes: 64 << 20})
	if err != nil {
		return nil, nil, err
	}
	db, err := boltkv.Open(path, boltkv.Config{})
	if err != nil {
		return nil, nil, err
	}
	fault := kvtest.NewFault(db)
	// The Store ends calls that hang and stops asking a store that is away:
	// the cache answers at once then.
	store, err := resilient.Wrap(fault, resilient.Config{Name: "bolt"})
	if err != nil {
		return nil, nil, errors.Join(err, fault.Close())
	}
	names, err := failover.WithCache(store, memory, failover.CacheConfig{MaxStale: time.Second})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return names, fault, nil
}

func play(ctx context.Context, out io.Writer, names resilient.KV, store *kvtest.Fault) error {
	if err := names.SetRaw(ctx, "first", []byte("Ada")); err != nil {
		return err
	}
	fmt.Fprintln(out, "the store works:  ", read(ctx, names))

	store.Down()
	time.Sleep(300 * time.Millisecond)
	fmt.Fprintln(out, "the store is away:", read(ctx, names))

	time.Sleep(1200 * time.Millisecond) // longer than MaxStale
	fmt.Fprintln(out, "1.2s later:       ", read(ctx, names))
	fmt.Fprintln(out, "a write:          ", names.SetRaw(ctx, "first", []byte("Grace")))
	return nil
}

// read says what the answer is and whose.
func read(ctx context.Context, names resilient.KV) string {
	var receipt resilient.Receipt
	name, err := names.GetRaw(resilient.WithReceipt(ctx, &receipt), "first")
	switch {
	case err != nil:
		return err.Error()
	case receipt.Stale:
		return fmt.Sprintf("%q from %s, %v old", name, receipt.Store, receipt.Age.Round(100*time.Millisecond))
	}
	return fmt.Sprintf("%q from %s", name, receipt.Store)
}
