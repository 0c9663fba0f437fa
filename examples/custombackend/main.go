// Custombackend makes a store of its own, files in a folder, and guards it. The
// store is in files.go: six methods. Its test is the contract of all stores,
// kvtest.Run, and resilient.Wrap adds the breaker, timeouts, batches and typed
// values:
//
//	$ go run ./examples/custombackend
//	files is closed and has 2 keys: [colour shape]
//	colour is green
//
// Give it a path to keep the folder. "Closed" is the breaker's word for letting
// calls through.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/holdfastkv/holdfast/resilient"
)

func main() {
	if err := start(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 {
		return use(ctx, out, args[0])
	}
	dir, err := os.MkdirTemp("", "custombackend")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return use(ctx, out, dir)
}

func use(ctx context.Context, out io.Writer, dir string) (err error) {
	// A disk that hangs knows nothing of contexts; Detach lets callers leave.
	store, err := resilient.Wrap(resilient.Detach(&Files{dir: dir}, 0), resilient.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	if err := store.BatchSetRaw(ctx, map[string][]byte{"colour": []byte("green"), "shape": []byte("round")}); err != nil {
		return err
	}
	keys, err := store.List(ctx, "")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is %v and has %d keys: %v\n", store.Name(), store.State(), len(keys), keys)
	colour, err := store.GetRaw(ctx, "colour")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "colour is %s\n", colour)
	return nil
}
