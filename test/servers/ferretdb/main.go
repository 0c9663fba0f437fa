// Ferretdb serves MongoDB's protocol from a folder with SQLite files, for the
// tests of mongokv:
//
//	ferretdb -addr 127.0.0.1:27017 -dir data
//
// With -cert and -key it serves it inside TLS only.
//
// FerretDB 1.24 asks for version 1.31.1 of its SQLite driver, in which a client
// that leaves can interrupt the next command on the same SQLite connection, or
// leave a lock behind for good; this module has a newer one.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

type settings struct {
	addr, dir, cert, key string
}

func main() {
	var s settings
	flag.StringVar(&s.addr, "addr", "127.0.0.1:27017", "where to listen")
	flag.StringVar(&s.dir, "dir", ".", "the folder with the data")
	flag.StringVar(&s.cert, "cert", "", "the file with the certificate; TLS only if given")
	flag.StringVar(&s.key, "key", "", "the file with the certificate's key")
	flag.Parse()
	if err := serve(s); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func serve(s settings) error {
	listener := ferretdb.ListenerConfig{TCP: s.addr}
	if s.cert != "" {
		listener = ferretdb.ListenerConfig{TLS: s.addr, TLSCertFile: s.cert, TLSKeyFile: s.key}
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: listener,
		// A line for each command is more than any test reads.
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler: "sqlite",
		// Each commit is on the disk before it is answered.
		SQLiteURL: "file:" + s.dir + "/?_pragma=synchronous(full)",
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	indexing := make(chan struct{})
	go func() {
		defer close(indexing)
		indexAll(ctx, s.dir)
	}()
	defer func() { <-indexing }()
	return server.Run(ctx)
}
