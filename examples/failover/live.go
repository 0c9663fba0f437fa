package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
)

// live is the live page; nil if nobody wants one.
type live struct {
	page   *kvstatus.Page
	server *http.Server
	ended  chan error
}

// listen serves the live page at an address, and prints where it is; "" = there
// is none.
func listen(address string, out io.Writer) (*live, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	page := kvstatus.New(kvstatus.Config{Title: "Failover example"})
	l := &live{page: page, server: &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second}, ended: make(chan error, 1)}
	l.server.RegisterOnShutdown(func() { _ = page.Close() })
	go func() { l.ended <- l.server.Serve(listener) }()
	fmt.Fprintf(out, "the live page: http://%s/\n", listener.Addr())
	return l, nil
}

// beside returns an Observer that tells both o and the page.
func (l *live) beside(o resilient.Observer) resilient.Observer {
	if l == nil {
		return o
	}
	return resilient.Tee(o, l.page)
}

func (l *live) watch(group resilient.Reporter) {
	if l != nil {
		l.page.Watch(group)
	}
}

func (l *live) close() error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if ended := <-l.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
