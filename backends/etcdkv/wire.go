package etcdkv

import (
	"context"
	"errors"
	"math"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// requestRoom is what a request may have over its values: 128 keys of the
// longest kind, and what the protocol adds to each.
const requestRoom = 1 << 20

var (
	errClientClosed = errors.New("the etcd client is closed")
	errNoStreams    = errors.New("etcdkv opens no streams")
)

// unsent is an error of a request of which certainly nothing was sent.
type unsent struct{ error }

// Unwrap returns the driver's error.
func (u unsent) Unwrap() error { return u.error }

// wire is the client's connection as this package uses it. It is below what the
// driver puts between, because there can be told whether a request was sent.
type wire struct {
	client *clientv3.Client
	login  *login // nil = requests go without one, or with the client's own
	opts   []grpc.CallOption
}

var _ grpc.ClientConnInterface = (*wire)(nil)

func newWire(client *clientv3.Client, maxValue int) *wire {
	return &wire{client: client, opts: []grpc.CallOption{
		// While there is no connection a call fails with the reason, and does not
		// wait for one until its ctx ends, which would look like a lost answer.
		grpc.WaitForReady(false),
		grpc.MaxCallSendMsgSize(max(maxValue, maxChunk) + requestRoom),
		grpc.MaxCallRecvMsgSize(math.MaxInt32), // the driver's own; the server bounds what it sends
	}}
}

// Invoke makes one request, and a second one if the server says that the first
// has come with a token that is no longer good: it looks at that before
// anything else. The error is an unsent or one of the driver's.
func (w *wire) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	// A member that has lost the others refuses at once, and does not leave the
	// caller to wait for a leader.
	ctx = clientv3.WithRequireLeader(ctx)
	if w.login == nil {
		return w.send(ctx, method, args, reply, opts)
	}
	for again := false; ; again = true {
		ticket, err := w.login.enter(ctx)
		if err != nil {
			return unsent{err}
		}
		err = w.send(ctx, method, args, reply, opts)
		if status.Code(err) == codes.DeadlineExceeded {
			w.login.suspect(ticket)
		}
		if again || !isAny(err, rpctypes.ErrInvalidAuthToken, rpctypes.ErrUserEmpty, rpctypes.ErrAuthOldRevision) {
			return err
		}
		w.login.forget(ticket)
	}
}

func (w *wire) send(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	if w.client.Ctx().Err() != nil {
		return unsent{errClientClosed} // the driver would try for seconds
	}
	// p is filled in as soon as one attempt, of grpc's or of the driver's, has
	// had a stream on a connection: before that nothing can have been sent.
	var p peer.Peer
	all := make([]grpc.CallOption, 0, len(opts)+len(w.opts)+1)
	all = append(append(append(all, opts...), w.opts...), grpc.Peer(&p))
	err := w.client.ActiveConnection().Invoke(ctx, method, args, reply, all...)
	if err == nil {
		return nil
	}
	err = rpctypes.Error(err)
	if p.Addr == nil {
		return unsent{err}
	}
	return err
}

// NewStream is there for the interface's sake.
func (w *wire) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errNoStreams
}
