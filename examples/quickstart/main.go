// Quickstart keeps a typed value in a bbolt file, behind a guarded store. Give
// it a path to keep the file; without one it works in a temporary folder:
//
//	$ go run ./examples/quickstart visits.db
//	ann has come 1 time(s); the store bolt is closed
//	$ go run ./examples/quickstart visits.db
//	ann has come 2 time(s); the store bolt is closed
//
// "Closed" is the breaker's word for letting calls through.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/resilient"
)

type visitor struct{ Visits int }

func main() {
	if err := start(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 {
		return visit(ctx, out, args[0])
	}
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return visit(ctx, out, filepath.Join(dir, "visits.db"))
}

func visit(ctx context.Context, out io.Writer, path string) (err error) {
	db, err := boltkv.Open(path, boltkv.Config{})
	if err != nil {
		return err
	}
	store, err := resilient.Wrap(db, resilient.Config{Name: "bolt"}) // checks health from now on
	if err != nil {
		return errors.Join(err, db.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }() // closes db too

	visitors := resilient.Of[visitor](store, resilient.JSON)
	ann, err := visitors.Get(ctx, "ann")
	if err != nil && !errors.Is(err, resilient.ErrNotFound) {
		return err
	}
	ann.Visits++
	if err := visitors.Set(ctx, "ann", ann); err != nil {
		return err
	}
	fmt.Fprintf(out, "ann has come %d time(s); the store %s is %v\n", ann.Visits, store.Name(), store.State())
	return nil
}
