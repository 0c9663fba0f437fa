package etcdkv

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

const secret = "SECRET-canary-password"

// withUsers switches authentication on. "writer" and "reader" have the right
// that they are called after to the namespace "holdfast", and "root" all.
func withUsers(tb testing.TB, server *servertest.Server) (root *clientv3.Client) {
	tb.Helper()
	ctx := tb.Context()
	admin := driver(tb, clientv3.Config{}, server)
	for name, right := range map[string]clientv3.PermissionType{
		"root": clientv3.PermissionType(clientv3.PermReadWrite), "writer": clientv3.PermissionType(clientv3.PermReadWrite),
		"reader": clientv3.PermissionType(clientv3.PermRead),
	} {
		_, err := admin.RoleAdd(ctx, name)
		require.NoError(tb, err)
		_, err = admin.RoleGrantPermission(ctx, name, "holdfast/", "holdfast0", right)
		require.NoError(tb, err)
		_, err = admin.UserAdd(ctx, name, secret)
		require.NoError(tb, err)
		_, err = admin.UserGrantRole(ctx, name, name)
		require.NoError(tb, err)
	}
	_, err := admin.AuthEnable(ctx)
	require.NoError(tb, err)
	return driver(tb, clientv3.Config{Username: "root", Password: secret}, server)
}

func TestAUserIsLoggedInWithTheFirstCallAndAgainWhenTheTokenIsGone(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	withUsers(t, server)
	server.Stop()
	kv := open(t, Config{Username: "writer", Password: secret, Canary: true}, server)
	for _, o := range operations(kv) {
		require.ErrorIs(t, o.call(ctx), resilient.ErrRefused, "%s: Open works while the server is down", o.name)
	}
	server.Start() // it keeps no token
	works(t, kv)
	for range 2 {
		server.Kill()
		server.Start()
		require.Eventually(t, func() bool { return kv.SetRaw(ctx, "key", nil) == nil }, patience, time.Millisecond)
		kv.user.forget(kv.user.good.Load())
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := second(kv.GetRaw(ctx, "key")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}

	// What an administrator changes makes older tokens invalid.
	root := driver(t, clientv3.Config{Username: "root", Password: secret}, server)
	_, err := root.UserGrantRole(ctx, "writer", "reader")
	require.NoError(t, err)
	for _, o := range operations(kv) {
		require.NoError(t, o.call(ctx), o.name)
	}
}

func TestATokenThatAServerDoesNotKnowIsReplacedWithinTheCall(t *testing.T) {
	server := servertest.Etcd(t)
	withUsers(t, server)
	kv := open(t, Config{Username: "writer", Password: secret}, server)
	for _, o := range operations(kv) {
		require.NoError(t, o.call(t.Context()), o.name)
		kv.user.bundle.UpdateAuthToken("AAAAAAAAAAAAAAAA.1") // as after a restart of the server
		require.NoError(t, o.call(t.Context()), o.name)
	}
}

func TestATokenThatAServerOnlyStaresAtIsReplaced(t *testing.T) {
	server := servertest.Etcd(t)
	withUsers(t, server)
	kv := open(t, Config{Username: "writer", Password: secret, Timeout: 300 * time.Millisecond}, server)
	works(t, kv)
	kv.user.bundle.UpdateAuthToken("AAAAAAAAAAAAAAAA.999999") // of a database that had got further
	fresh := kv.user.good.Load()
	kv.user.suspect(fresh)
	require.Same(t, fresh, kv.user.good.Load(), "a slow call does not send everybody to the login")
	fresh.since = time.Now().Add(-suspectAfter)
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), context.DeadlineExceeded)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, kv.SetRaw(ctx, "key", nil))
}

func TestWhoeverWaitsForALoginLeavesWhenTheirTimeIsUp(t *testing.T) {
	server := servertest.Etcd(t)
	withUsers(t, server)
	kv := open(t, Config{Username: "writer", Password: secret}, server)
	require.NoError(t, kv.Health(t.Context()))
	server.Freeze()
	kv.user.forget(kv.user.good.Load())
	var all sync.WaitGroup
	for _, o := range operations(kv) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), late/5)
			defer cancel()
			err := o.call(ctx)
			// The call itself was not sent.
			if !errors.Is(err, resilient.ErrRefused) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", o.name, err)
			}
		})
	}
	require.NoError(t, prompt(t, late/5, "all calls", func() error { all.Wait(); return nil }))
	server.Wake()
	works(t, kv)
}

func TestAUserWhoMayOnlyReadIsUnhealthyAndSaysSo(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	root := withUsers(t, server)
	_, err := root.Put(ctx, "holdfast/key", "value")
	require.NoError(t, err)
	kv := open(t, Config{Username: "reader", Password: secret}, server)
	value, err := kv.GetRaw(ctx, "key")
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
	for _, o := range operations(kv) {
		err := o.call(ctx)
		if !o.writes && o.name != "Health" {
			require.NoError(t, err, o.name)
			continue
		}
		require.ErrorIs(t, err, rpctypes.ErrPermissionDenied, o.name)
	}
	err = kv.Health(ctx)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "may not read and write")
	require.Equal(t, resilient.Refused, kv.Classify(err))

	// Another namespace is another matter.
	elsewhere := open(t, Config{Username: "writer", Password: secret, Namespace: "holdfast2"}, server)
	require.ErrorIs(t, elsewhere.Health(ctx), resilient.ErrRefused)
	require.ErrorIs(t, elsewhere.SetRaw(ctx, "key", nil), rpctypes.ErrPermissionDenied)
}

func TestAPasswordForAServerWithoutUsersDoesNoHarm(t *testing.T) {
	server := servertest.Etcd(t)
	kv := open(t, Config{Username: "root", Password: secret}, server)
	for _, o := range operations(kv) {
		require.NoError(t, o.call(t.Context()), o.name)
	}
	withUsers(t, server) // it has users from now on
	for _, o := range operations(kv) {
		require.NoError(t, o.call(t.Context()), o.name)
	}
}
