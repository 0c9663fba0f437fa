package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/internal/classtest"
	"github.com/holdfastkv/holdfast/resilient"
)

// sorted is a server that holds these keys and answers with two at a time.
type sorted struct {
	pb.KVClient
	keys []string
}

func (s sorted) Range(_ context.Context, r *pb.RangeRequest, _ ...grpc.CallOption) (*pb.RangeResponse, error) {
	resp := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1}}
	for _, key := range s.keys {
		switch {
		case key < string(r.Key) || key >= string(r.RangeEnd):
		case len(resp.Kvs) == 2:
			resp.More = true
		default:
			resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: []byte(key)})
		}
	}
	return resp, nil
}

func FuzzAListIsOfTheKeysWithThePrefix(f *testing.F) {
	f.Fuzz(func(t *testing.T, prefix, names string) {
		k := &KV{prefix: "a/", gate: guard.NewGate()}
		stored := []string{"a", "a.b/x", "a/\x00health", "a0", "aa/x", "b/" + prefix} // others', and the library's own
		want := []string{}
		for _, key := range append(strings.Split(names, "/"), names, prefix, prefix+names) {
			if resilient.CheckKey(key) != nil {
				continue
			}
			stored = append(stored, string(k.key(key)))
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		slices.Sort(stored)
		slices.Sort(want)
		k.kv = sorted{keys: slices.Compact(stored)}
		keys, err := k.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, slices.Compact(want), keys)
	})
}

func FuzzANamespaceOverlapsWithNoOther(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || (Config{Namespace: a}).validate() != nil {
			return
		}
		require.NotContains(t, a, "/")
		require.LessOrEqual(t, len(a), maxNamespace)
		if b != "" && a != b && (Config{Namespace: b}).validate() == nil {
			require.False(t, strings.HasPrefix(a+"/", b+"/"))
		}
	})
}

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			rpctypes.ErrEmptyKey, rpctypes.ErrRequestTooLarge, rpctypes.ErrPermissionDenied, rpctypes.ErrNoLeader, rpctypes.ErrNoSpace,
			rpctypes.ErrTooManyRequests, rpctypes.ErrCorrupt, rpctypes.ErrAuthFailed, rpctypes.ErrTimeout, rpctypes.ErrLeaderChanged,
			rpctypes.ErrStopped, rpctypes.ErrCompacted, rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner),
			status.Error(codes.Unavailable, text), status.Error(codes.Unknown, text), explain(context.Background(), true, unsent{errors.New(text)}),
		}
	})
}

// Endpoints that are taken are not opened: the driver would dial them.
func FuzzNoEndpointIsShown(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after, other string) {
		endpoints := []string{before + "SECRET" + after, other}
		if (Config{}).checkEndpoints(endpoints) == nil {
			require.NotContains(t, endpoints[0], "@", "a user and a password are for the Config")
			return
		}
		kv, err := Open(endpoints, Config{})
		require.Error(t, err)
		require.Nil(t, kv)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "SECRET")
	})
}
