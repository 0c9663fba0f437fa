package etcdkv

import (
	"context"
	"errors"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3/credentials"
)

// login gets the token that goes with every request of a user. The driver gets
// it while the client is made, which then fails if the server is down.
type login struct {
	name, password string
	bundle         credentials.PerRPCCredentialsBundle
	auth           pb.AuthClient // over a wire without login

	turn  chan struct{} // holds one element while somebody asks the server
	count uint64        // tokens so far; belongs to who has the turn
	valid atomic.Uint64 // the number of the token in bundle; 0 = there is none
}

func newLogin(name, password string) *login {
	return &login{
		name:     name,
		password: password,
		bundle:   credentials.NewPerRPCCredentialBundle(),
		turn:     make(chan struct{}, 1),
	}
}

// token sees to it that there is a token, and returns its number. Only one
// caller asks the server, which takes tenths of a second to check a password;
// the others wait, each until its own ctx ends.
func (l *login) token(ctx context.Context) (uint64, error) {
	if n := l.valid.Load(); n != 0 {
		return n, nil
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-l.turn }()
	if n := l.valid.Load(); n != 0 {
		return n, nil
	}
	resp, err := l.auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: l.name, Password: l.password})
	// A server that knows no users serves everybody, as the driver has it.
	if err != nil && !errors.Is(err, rpctypes.ErrAuthNotEnabled) {
		return 0, err
	}
	l.bundle.UpdateAuthToken(resp.GetToken())
	l.count++
	l.valid.Store(l.count)
	return l.count, nil
}

// forget drops the token with that number, if it is still the one in use.
func (l *login) forget(n uint64) { l.valid.CompareAndSwap(n, 0) }
