package rediskv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// borrowed makes calls at a client that it cannot interrupt, each in a
// goroutine of its own.
type borrowed struct {
	gate   *guard.Gate
	client redis.UniversalClient
	again  bool          // it may send a command twice
	places chan struct{} // holds one token for each call under way or left behind
}

var _ runner = (*borrowed)(nil)

func newBorrowed(gate *guard.Gate, client redis.UniversalClient, places int, repeats bool) *borrowed {
	return &borrowed{gate: gate, client: client, again: repeats, places: make(chan struct{}, places)}
}

// enter gives the call a context that ends with the gate: the client does look
// at it while it waits for a connection.
func (b *borrowed) enter(ctx context.Context, limit time.Duration) (context.Context, func(), error) {
	return b.gate.Inside(ctx, limit)
}

// run leaves do behind when ctx ends.
func (b *borrowed) run(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) error {
	if err := take(ctx, b.gate, b.places); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-b.places }()
		done <- b.shielded(ctx, do)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it ended at the same moment
		return err
	default:
		return &judged{text: "the call was left behind"}
	}
}

// shielded turns a panic, of a hook of the client's owner for one, into an
// error: on this goroutine nobody else could.
func (b *borrowed) shielded(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &resilient.PanicError{Value: v}
		}
	}()
	err = do(ctx, b.client)
	if err != nil && b.again {
		if j := judge(err); j.class == resilient.Refused {
			// That is how the last try ended. One before it may have been applied.
			return &judged{text: j.text, err: err}
		}
	}
	return err
}

func (b *borrowed) leaves() bool { return true }
func (b *borrowed) shut()        {} // the contexts end

// close waits for what is left behind.
func (b *borrowed) close() {
	for range cap(b.places) {
		b.places <- struct{}{}
	}
}

// checkClient returns what is wrong with the settings of client, all at once,
// as far as they can be read, and whether it may send a command twice.
func checkClient(client redis.UniversalClient, requireTLS bool) (repeats bool, err error) {
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return false, errors.New("rediskv: the client is nil")
	}
	var f clientFaults
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		f.retries(o.MaxRetries)
		f.timeouts(o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled)
		f.add(o.ClientSideCache != nil || o.ClientSideCacheConfig != nil,
			"it has a client-side cache, which may answer with what was overwritten: set neither ClientSideCache nor ClientSideCacheConfig")
		if requireTLS {
			f.tls(o.TLSConfig, isDrivers(o.Dialer, driversDialer()))
		}
	case *redis.ClusterClient:
		o := c.Options()
		f.retries(o.MaxRetries)
		f.timeouts(o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled)
		f.add(o.ReadOnly || o.RouteByLatency || o.RouteRandomly,
			"it reads from replicas, which may answer with what was overwritten: set none of ReadOnly, RouteByLatency and RouteRandomly")
		if requireTLS {
			f.tls(o.TLSConfig, o.Dialer == nil && isDrivers(o.NewClient, redis.NewClient))
		}
		repeats = o.MaxRedirects > 0
	case *redis.Ring:
		f.add(true, "a Ring gives the keys of a shard that is down to another, where they are missing")
	default:
		repeats = true
		f.add(requireTLS, fmt.Sprintf("Config.RequireTLS is set and a %T does not tell whether it uses TLS", client))
	}
	return repeats, errors.Join(f...)
}

type clientFaults []error

func (f *clientFaults) add(is bool, what string) {
	if is {
		*f = append(*f, errors.New("rediskv: the client cannot be used: "+what))
	}
}

func (f *clientFaults) retries(max int) {
	f.add(max > 0, "its own retries hide whether a write was applied: set MaxRetries to -1")
}

// timeouts wants a call that was left behind to end. The client has 0 for no
// timeout, and a negative one for leaving alone what the socket is set to.
func (f *clientFaults) timeouts(read, write time.Duration, context bool) {
	f.add(read < 0 || write < 0 || !context && (read == 0 || write == 0),
		"it may wait for the server for ever: set ContextTimeoutEnabled, or ReadTimeout and WriteTimeout to more than 0")
}

// tls wants a configuration that verifies, and is used: the driver leaves it to
// the client's owner to do so in a Dialer of the owner's, and to Sentinel's own,
// in which another may be hidden.
func (f *clientFaults) tls(c *tls.Config, used bool) {
	f.add(!used, "Config.RequireTLS is set and connections are not made by the driver's own dialer: whether they use TLS cannot be seen")
	f.add(c == nil, "Config.RequireTLS is set and it has no TLSConfig")
	f.add(c != nil && c.InsecureSkipVerify, "Config.RequireTLS is set and its TLSConfig has InsecureSkipVerify")
}

// driversDialer returns what a client has that was given no Dialer. It has to be
// asked of one: the compiler makes several functions of redis.NewDialer's.
func driversDialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := redis.NewClient(&redis.Options{})
	defer plain.Close()
	return plain.Options().Dialer
}

// isDrivers reports whether fn is the driver's own function, or made by the same
// one as it.
func isDrivers[F any](fn, own F) bool {
	return reflect.ValueOf(fn).Pointer() == reflect.ValueOf(own).Pointer()
}
