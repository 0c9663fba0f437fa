package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// meddler calls a function before each page of a list but the first, and
// before each transaction.
type meddler struct {
	pb.KVClient
	beforePage func()
	beforeTxn  func() error
}

func (m *meddler) Range(ctx context.Context, r *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	if m.beforePage != nil && r.Revision != 0 {
		m.beforePage()
	}
	return m.KVClient.Range(ctx, r, opts...)
}

func (m *meddler) Txn(ctx context.Context, r *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	if m.beforeTxn != nil {
		if err := m.beforeTxn(); err != nil {
			return nil, err
		}
	}
	return m.KVClient.Txn(ctx, r, opts...)
}

// fill stores n keys and returns them in order.
func fill(tb testing.TB, kv *KV, n int) (keys []string) {
	tb.Helper()
	values := map[string][]byte{}
	for i := range n {
		key := fmt.Sprintf("key %05d", i)
		keys, values[key] = append(keys, key), nil
	}
	require.NoError(tb, kv.BatchSetRaw(tb.Context(), values))
	return keys
}

func TestAListIsOfOneMomentHoweverManyPagesItHas(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	kv, other := open(t, Config{}, server), open(t, Config{}, server)
	for _, n := range []int{pageSize - 1, pageSize, pageSize + 1, 3 * pageSize} {
		want := fill(t, kv, n)
		pages := 0
		kv.kv = &meddler{KVClient: other.kv, beforePage: func() {
			pages++
			require.NoError(t, other.SetRaw(ctx, fmt.Sprintf("key %05d a", n-1), nil))
			require.NoError(t, other.Delete(ctx, fmt.Sprintf("key %05d", n-1)))
		}}
		keys, err := kv.List(ctx, "key ")
		require.NoError(t, err)
		require.True(t, slices.Equal(want, keys), "%d keys", n)
		require.Equal(t, (n-1)/pageSize, pages)
		kv.kv = other.kv
		require.NoError(t, kv.Delete(ctx, fmt.Sprintf("key %05d a", n-1)))
	}
}

func TestAListBeginsAgainWhenItsMomentIsForgottenAndGivesUpInTheEnd(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	kv, other := open(t, Config{}, server), open(t, Config{}, server)
	client := driver(t, clientv3.Config{}, server)
	want := fill(t, kv, 2*pageSize)
	compactions := 0
	limit := 0
	kv.kv = &meddler{KVClient: other.kv, beforePage: func() {
		if compactions == limit {
			return
		}
		compactions++
		put, err := client.Put(ctx, "elsewhere", "")
		require.NoError(t, err)
		_, err = client.Compact(ctx, put.Header.Revision)
		require.NoError(t, err)
	}}
	limit = listTries - 1
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.True(t, slices.Equal(want, keys))

	compactions, limit = 0, 1000
	_, err = kv.List(ctx, "")
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
	require.ErrorIs(t, err, resilient.ErrUnavailable)
	require.Equal(t, listTries, compactions)
}

func TestABatchIsAmbiguousOnceAPartOfItWasApplied(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	kv := open(t, Config{}, server)
	all := kv.kv
	keys := fill(t, kv, maxOps+1)
	values := map[string][]byte{}
	for _, key := range keys {
		values[key] = nil
	}
	for _, c := range []struct {
		fails int // the transaction that does, from 1
		err   error
		want  error
	}{
		{1, rpctypes.ErrPermissionDenied, nil},
		{1, unsent{errors.New("no connection")}, resilient.ErrRefused},
		{1, rpctypes.ErrTimeout, resilient.ErrAmbiguous},
		{2, rpctypes.ErrPermissionDenied, resilient.ErrAmbiguous},
		{2, unsent{errors.New("no connection")}, resilient.ErrAmbiguous},
		{2, rpctypes.ErrNoLeader, resilient.ErrAmbiguous},
	} {
		txn := 0
		kv.kv = &meddler{KVClient: all, beforeTxn: func() error {
			if txn++; txn == c.fails {
				return c.err
			}
			return nil
		}}
		for range 2 {
			for name, err := range map[string]error{
				"BatchSetRaw": kv.BatchSetRaw(ctx, values), "BatchDelete": kv.BatchDelete(ctx, keys),
			} {
				if err == nil {
					continue // it was this one's transactions that were counted
				}
				require.ErrorIs(t, err, c.err, name)
				for _, is := range []error{resilient.ErrRefused, resilient.ErrAmbiguous} {
					require.Equal(t, is == c.want, errors.Is(err, is), "%s, transaction %d: %v", name, c.fails, err)
				}
			}
			txn = 0
		}
	}
}

func TestNamespacesDoNotOverlapAndKeysOfOthersStay(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	client := driver(t, clientv3.Config{}, server)
	for _, key := range []string{"a", "a/", "a0", "ab/key", "b"} {
		_, err := client.Put(ctx, key, "of others")
		require.NoError(t, err)
	}
	a, ab := open(t, Config{Namespace: "a"}, server), open(t, Config{Namespace: "a.b"}, server)
	require.NoError(t, a.SetRaw(ctx, "key", nil))
	require.NoError(t, ab.SetRaw(ctx, "key2", nil))
	keys, err := a.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	keys, err = ab.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"key2"}, keys)
	found, err := client.Get(ctx, "a/key")
	require.NoError(t, err)
	require.Len(t, found.Kvs, 1, "where doc.go says")
}

func TestHealthChangesNothingAndACanaryLeavesNothing(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	client := driver(t, clientv3.Config{}, server)
	revision := func() int64 {
		all, err := client.Get(ctx, "", clientv3.WithPrefix())
		require.NoError(t, err)
		require.Empty(t, all.Kvs)
		leases, err := client.Leases(ctx)
		require.NoError(t, err)
		require.Empty(t, leases.Leases)
		return all.Header.Revision
	}
	plain, canary := open(t, Config{}, server), open(t, Config{Canary: true}, server)
	before := revision()
	require.NoError(t, plain.Health(ctx))
	require.Equal(t, before, revision())
	require.NoError(t, canary.Health(ctx))
	require.Equal(t, before+2, revision(), "it was put and deleted")

	// One whose deletion was not heard is not listed, by no prefix.
	_, err := client.Put(ctx, "holdfast/"+canaryKey, "")
	require.NoError(t, err)
	for _, prefix := range []string{"", "\x00", "\x00c", canaryKey} {
		keys, err := plain.List(ctx, prefix)
		require.NoError(t, err)
		require.Empty(t, keys, "%q", prefix)
	}
}

func TestAStoreOnABorrowedClientLeavesItOpen(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	client := driver(t, clientv3.Config{DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour},
	})}}, server)
	kv, err := New(client, Config{})
	require.NoError(t, err)
	works(t, kv)
	server.Kill()
	require.Eventually(t, func() bool {
		return errors.Is(kv.SetRaw(ctx, "key", nil), resilient.ErrRefused)
	}, patience, 10*time.Millisecond)
	server.Start()
	require.ErrorIs(t, kv.SetRaw(ctx, "key", nil), resilient.ErrRefused, "the client is in no hurry")
	require.Eventually(t, func() bool { return kv.Health(ctx) == nil }, patience, 10*time.Millisecond)
	works(t, kv)
	require.NoError(t, kv.Close())
	_, err = client.Get(ctx, "key")
	require.NoError(t, err)

	kv, err = New(client, Config{})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	for _, o := range operations(kv) {
		err := prompt(t, 0, o.name, func() error { return o.call(ctx) })
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
	}
	require.NoError(t, kv.Close())
}

func TestAValueIsTakenUpToTheLimitAndTheServersOwn(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	kv := open(t, Config{MaxValue: 2 << 20}, server) // more than the server takes
	require.Equal(t, resilient.Limits{MaxKey: 512, MaxValue: 2 << 20}, kv.Limits())
	require.NoError(t, kv.SetRaw(ctx, "key", make([]byte, 1500<<10)))
	require.Equal(t, resilient.ErrValueTooLarge, kv.SetRaw(ctx, "key", make([]byte, 2<<20+1)))
	err := kv.SetRaw(ctx, "key", make([]byte, 1600<<10))
	require.ErrorIs(t, err, resilient.ErrValueTooLarge)
	require.ErrorIs(t, err, rpctypes.ErrRequestTooLarge)
	require.Equal(t, resilient.Invalid, kv.Classify(err))
	value, err := kv.GetRaw(ctx, "key")
	require.NoError(t, err)
	require.Len(t, value, 1500<<10, "the old value is kept")
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	s := servertest.Etcd(t)
	kv := open(t, Config{}, s)
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	other := driver(t, clientv3.Config{}, s)
	for _, key := range []string{"line\nfeed", "\xff"} {
		require.NoError(t, second(other.Put(t.Context(), kv.prefix+key, "v")))
	}
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	for prefix, want := range map[string][]string{"k": {"key"}, "line": {}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys)
	}
}
