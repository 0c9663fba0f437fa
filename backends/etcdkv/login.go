package etcdkv

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3/credentials"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

// suspectAfter is the age at which a token is dropped when a call that had it
// was not answered in time. A server checks a password in tenths of a second,
// so that slow calls must not make it do so often.
const suspectAfter = 10 * time.Second

// login gets the token that goes with every request of a user. The driver gets
// it while the client is made, which then fails if the server is down; and it
// shows a server that was started again the old token along with the password,
// which is refused.
type login struct {
	name     string
	password guard.Secret
	bundle   credentials.PerRPCCredentialsBundle
	auth     pb.AuthClient // over a wire without login

	turn chan struct{}          // holds one element while somebody asks the server
	good atomic.Pointer[ticket] // stands for the token in bundle; nil = there is none
}

// ticket stands for one token.
type ticket struct{ since time.Time }

func newLogin(name, password string) *login {
	return &login{
		name:     name,
		password: guard.Hide(password),
		bundle:   credentials.NewPerRPCCredentialBundle(),
		turn:     make(chan struct{}, 1),
	}
}

// enter sees to it that there is a token. Only one caller asks the server for
// it; the others wait, each until its own ctx ends.
func (l *login) enter(ctx context.Context) (*ticket, error) {
	if t := l.good.Load(); t != nil {
		return t, nil
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.turn }()
	if t := l.good.Load(); t != nil {
		return t, nil
	}
	// A server looks at the token of this request too. A call that goes without
	// one meanwhile is made again.
	l.bundle.UpdateAuthToken("")
	resp, err := l.auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: l.name, Password: l.password()})
	// A server that knows no users serves everybody, as the driver has it.
	if err != nil && !errors.Is(err, rpctypes.ErrAuthNotEnabled) {
		return nil, err
	}
	l.bundle.UpdateAuthToken(resp.GetToken())
	t := &ticket{since: time.Now()}
	l.good.Store(t)
	return t, nil
}

// forget drops the token that t stands for, if it is still the one in use.
func (l *login) forget(t *ticket) { l.good.CompareAndSwap(t, nil) }

// suspect forgets t if it is not new. A server that was restored from a backup
// does not refuse a token from after that: it waits for its database to get as
// far (isValidSimpleToken in its source), until the call's ctx ends.
func (l *login) suspect(t *ticket) {
	if time.Since(t.since) >= suspectAfter {
		l.forget(t)
	}
}
