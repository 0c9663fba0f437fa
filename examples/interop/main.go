// Interop guards stores that were written for KiviGo, which have never heard of
// Holdfast, and puts KiviGo's client above them. Both ends stay as they are,
// in theirs.go; what joins them is the Config in guard:
//
//	$ go run ./examples/interop
//	both are there: has ada: true <nil>; has bob: false <nil>
//	one is gone:    has ada: true <nil>; has bob: false <nil>; served by second
//	it is back:     owed map[]; it has what was set meanwhile: true <nil>
//	a wrong call:   prefix is empty; first is closed
//
// "Closed" is the breaker's word for letting calls through.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func main() {
	if err := start(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// guard is what a foreign store needs: which of its errors are no failures, and
// which error a client above us takes for a miss.
func guard(name string) resilient.Config {
	misses := resilient.NotFoundIs(errNotFound)
	return resilient.Config{
		Name: name,
		Classify: func(err error) resilient.Class {
			if errors.Is(err, errEmptyPrefix) {
				return resilient.Invalid // the caller's mistake: not counted against the store
			}
			return misses(err)
		},
		NotFound: errNotFound,
	}
}

func start(ctx context.Context, out io.Writer) (err error) {
	theirs := []*memory{{values: map[string][]byte{}}, {values: map[string][]byte{}}}
	first, err1 := resilient.Wrap(theirs[0], guard("first"))
	second, err2 := resilient.Wrap(theirs[1], guard("second"))
	// Member is for what the group itself answers: a key that was deleted while
	// a store was away is a miss like theirs.
	both, err3 := failover.New(failover.Config{Writes: failover.Mirror, Complete: true, Member: guard("")}, first, second)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, both.Close()) }() // closes all of them

	users := client{both}
	if err := both.SetRaw(ctx, "ada", []byte("1815")); err != nil {
		return err
	}
	fmt.Fprintf(out, "both are there: has ada: %s; has bob: %s\n", has(ctx, users, "ada"), has(ctx, users, "bob"))

	theirs[0].setGone(true)
	var receipt resilient.Receipt
	if err := both.SetRaw(resilient.WithReceipt(ctx, &receipt), "eve", []byte("1915")); err != nil {
		return err
	}
	fmt.Fprintf(out, "one is gone:    has ada: %s; has bob: %s; served by %s\n", has(ctx, users, "ada"), has(ctx, users, "bob"), receipt.Store)

	// Back, it is handed what it missed, once the write that failed at it can no
	// longer be carried out there.
	theirs[0].setGone(false)
	for len(both.Owed()) > 0 || first.State() != breaker.Closed {
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Fprintf(out, "it is back:     owed %v; it has what was set meanwhile: %s\n", both.Owed(), has(ctx, client{theirs[0]}, "eve"))

	_, wrong := first.List(ctx, "")
	fmt.Fprintf(out, "a wrong call:   %v; %s is %v\n", errors.Unwrap(wrong), first.Name(), first.State())
	return nil
}

func has(ctx context.Context, c client, key string) string {
	ok, err := c.HasKey(ctx, key)
	return fmt.Sprint(ok, " ", err)
}
