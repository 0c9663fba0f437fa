// Failover takes a store away under load and shows that nothing is lost. A
// bbolt file is the first store and a badger folder the second, both new and
// in a temporary folder, joined by package failover. While clients read and
// write, bbolt fails, comes back, hangs and comes back:
//
//	$ go run ./examples/failover
//
// Other stores are named by URLs, whose schemes pick the backends: bolt:PATH,
// badger:PATH, redis://, postgres://, mysql://user:password@tcp(host:port)/database.
// Two of a kind are fine. What is in their namespace (prefix, table or bucket)
// holdfast_demo is deleted before and after:
//
//	$ go run ./examples/failover -primary redis://localhost:6379 -secondary postgres://user:password@localhost/db
//
// In mode mirror both stores have every write. In mode handoff badger only
// stands in: what it takes is handed back and then removed there, and reads of
// what bolt alone has are refused as uncertain while that is away. Mode strict
// is mirror with a journal on disk that has every write before it is sent.
//
// With -http ADDRESS a live page of the stores is there while the program runs.
//
// The timeline shows who serves, what the breakers do and what is owed. In the
// end every key is compared with what its client was told: through the group,
// and in both stores. The exit code is 0 if nothing was lost and no call
// failed, 1 otherwise, and 2 for flags that cannot be used.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

type options struct {
	duration time.Duration
	timeout  time.Duration // of one attempt at one store
	clients  int
	keys     int
	seed     int64
	writes   failover.Writes
	http     string // address of the live page; "" = none

	primary, secondary string // URLs
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. The end of ctx ends the script early; what was
// acknowledged until then is still checked.
func run(ctx context.Context, args []string, out, errs io.Writer) (code int) {
	o, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(errs, err)
		return 2
	}
	fail := func(code int, err error) int {
		fmt.Fprintln(errs, err)
		return code
	}
	dir, err := os.MkdirTemp("", "failover")
	if err != nil {
		return fail(1, err)
	}
	defer os.RemoveAll(dir)
	page, err := listen(o.http, out)
	if err != nil {
		return fail(1, err)
	}
	defer func() {
		if err := page.close(); err != nil {
			code = fail(1, err)
		}
	}()
	stores, err := open(o, dir)
	if err != nil {
		return fail(1, err)
	}
	show := newTimeline(out)
	group, err := join(o, dir, stores, page.beside(show))
	if err != nil {
		return fail(1, errors.Join(err, closeAll(stores)))
	}
	page.watch(group)
	r := play(ctx, o, group, stores, show)
	if err := emptyAll(stores); err != nil {
		r.problem("%v", err)
	}
	if err := group.Close(); err != nil { // closes the stores too
		r.problem("close: %v", err)
	}
	r.print(out)
	if !r.good() {
		return 1
	}
	return 0
}

// join makes one group of the stores.
func join(o options, dir string, stores []*store, observer resilient.Observer) (*failover.KV, error) {
	cfg := config(o, observer)
	members, err := guard(stores, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Journal, err = journal(o, dir); err != nil {
		return nil, err
	}
	return failover.New(cfg, members...)
}

// parse returns the options that args ask for. What package flag finds wrong
// with them it prints to errs itself, with the list of flags.
func parse(args []string, errs io.Writer) (options, error) {
	var o options
	var mode string
	f := flag.NewFlagSet("failover", flag.ContinueOnError)
	f.SetOutput(errs)
	f.DurationVar(&o.duration, "duration", 12*time.Second, "how long the script takes; its steps scale with it")
	f.DurationVar(&o.timeout, "timeout", 300*time.Millisecond, "how long one attempt at one store may take")
	f.IntVar(&o.clients, "clients", 8, "how many clients read and write at the same time")
	f.IntVar(&o.keys, "keys", 1000, "how many keys the clients share out among them")
	f.Int64Var(&o.seed, "seed", 1, "what the clients' choices follow from")
	f.StringVar(&o.primary, "primary", "bolt:", "the store that is wanted most, a URL that begins with one of "+knownSchemes())
	f.StringVar(&o.secondary, "secondary", "badger:", "the store that serves while the first is away, a URL as well")
	f.StringVar(&o.http, "http", "", "where to serve the live page, such as 127.0.0.1:8080; without it there is none")
	f.StringVar(&mode, "mode", "mirror", "how the group writes: handoff, mirror or strict")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.NArg() > 0 {
		bad("failover takes flags only, not %q", f.Arg(0))
	}
	for _, v := range []struct {
		name     string
		positive bool
	}{
		{"duration", o.duration > 0}, {"timeout", o.timeout > 0}, {"clients", o.clients > 0}, {"keys", o.keys > 0}, {"seed", o.seed > 0},
	} {
		if !v.positive {
			bad("-%s must be more than 0, not %v", v.name, f.Lookup(v.name).Value)
		}
	}
	if o.keys > 0 && o.keys < o.clients {
		bad("-keys must be at least as many as -clients, %d: each client has keys of its own", o.clients)
	}
	for _, u := range []struct{ name, url string }{{"primary", o.primary}, {"secondary", o.secondary}} {
		if _, ok := backends[scheme(u.url)]; !ok {
			bad("-%s must be a URL that begins with one of %s", u.name, knownSchemes())
		}
	}
	switch mode {
	case "handoff":
		o.writes = failover.Handoff
	case "mirror":
		o.writes = failover.Mirror
	case "strict":
		o.writes = failover.MirrorStrict
	default:
		bad("-mode must be handoff, mirror or strict, not %q", mode)
	}
	return o, errors.Join(faults...)
}
