// Observability is a service that shows what its stores do: a bbolt file and a
// badger folder, both new and in a temporary folder, joined by package
// failover, with clients that read and write. Every event goes to logs,
// Prometheus, OpenTelemetry and a live page, on one port:
//
//	$ go run ./examples/observability
//	http://127.0.0.1:8080/         what is here, and buttons that make bolt fail
//	http://127.0.0.1:8080/status/  the live page
//	http://127.0.0.1:8080/metrics  for Prometheus
//
// Press a button and watch the page: badger serves within a second, what bolt
// misses is owed to it and handed back. With -duration the program ends by
// itself, and bolt is away for the middle third of that; in the end it says what
// OpenTelemetry has counted. The buttons work on a loopback address only. It
// logs to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

type options struct {
	address  string
	duration time.Duration // 0 = until interrupted
	clients  int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the program, until ctx or its duration ends.
func run(ctx context.Context, args []string, out, logs io.Writer) (err error) {
	o, err := parse(args, logs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "observability")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	seen, err := newObservers(slog.New(slog.NewTextHandler(logs, nil)))
	if err != nil {
		return err
	}
	group, bolt, err := open(dir, seen.all)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Close()) }() // closes the stores too
	seen.watch(group)

	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		return err
	}
	s := &service{seen: seen, bolt: bolt, buttons: isLoopback(listener.Addr())}
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	server.RegisterOnShutdown(func() { _ = seen.page.Close() })
	s.announce(out, listener.Addr())

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	stop := drive(group, o.clients)
	wait(ctx, o.duration, bolt)
	stop()
	ended, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(handBack(ended, group), server.Shutdown(ended))
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, seen.report(out))
}

func parse(args []string, errs io.Writer) (o options, err error) {
	f := flag.NewFlagSet("observability", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&o.address, "http", "127.0.0.1:8080", "where to listen; port 0 takes a free one")
	f.DurationVar(&o.duration, "duration", 0, "how long to run, with bolt away for the middle third; 0 = until interrupted")
	f.IntVar(&o.clients, "clients", 8, "how many clients read and write, each about 100 times a second")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.duration < 0 || o.clients < 1 {
		return o, errors.New("observability takes flags only; -duration must not be negative, and -clients must be more than 0")
	}
	return o, nil
}

// handBack waits until nothing is owed. While bolt's breaker is still open,
// Flush fails at once.
func handBack(ctx context.Context, group *failover.KV) error {
	for {
		err := group.Flush(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// wait returns when ctx or the duration ends. Bolt is well then.
func wait(ctx context.Context, total time.Duration, bolt *kvtest.Fault) {
	defer bolt.Up()
	if total == 0 {
		<-ctx.Done()
		return
	}
	for _, act := range []func(){bolt.Up, bolt.Down, bolt.Up} {
		act()
		select {
		case <-ctx.Done():
			return
		case <-time.After(total / 3):
		}
	}
}
