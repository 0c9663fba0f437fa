package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestAFullDatabaseIsAmbiguousBecauseItSaysSoAlsoAfterAWriteWasApplied(t *testing.T) {
	ctx := t.Context()
	kv := full(t)
	err := kv.SetRaw(ctx, "key", make([]byte, 1000))
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Failed, kv.Classify(err))
	err = kv.BatchSetRaw(ctx, map[string][]byte{"key": nil})
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	err = kv.Health(ctx)
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NoError(t, kv.Delete(ctx, fillKey(0, 0)), "what makes room is served")
	require.NoError(t, second(kv.List(ctx, "")))
}

const (
	fullQuota  = 20_000_000
	fillers    = 4
	fillWrites = 12
)

func fillKey(g, i int) string { return fmt.Sprintf("fill %d %d", g, i) }

// full returns a store on a server whose database has reached its quota, and
// logs of how many writes the server said so after it had applied them.
func full(tb testing.TB) *KV {
	tb.Helper()
	kv := open(tb, Config{}, servertest.Etcd(tb, "--quota-backend-bytes", fmt.Sprint(fullQuota)))
	var (
		all     sync.WaitGroup
		refused sync.Map
	)
	for g := range fillers {
		all.Go(func() {
			for i := range fillWrites {
				err := kv.SetRaw(tb.Context(), fillKey(g, i), make([]byte, 1_000_000))
				if err != nil {
					refused.Store(fillKey(g, i), err)
				}
			}
		})
	}
	all.Wait()
	said, applied := 0, 0
	for key, err := range refused.Range {
		require.ErrorIs(tb, err.(error), rpctypes.ErrNoSpace)
		said++
		if _, err := kv.GetRaw(tb.Context(), key.(string)); err == nil {
			applied++
		}
	}
	require.Positive(tb, said)
	tb.Logf("%d writes were told that there is no space; %d of them were applied", said, applied)
	return kv
}

func TestACorruptClusterRefusesWritesAndIsUnhealthy(t *testing.T) {
	ctx := t.Context()
	kv := corrupt(t)
	for _, o := range operations(kv) {
		if err := o.call(ctx); o.writes || o.name == "Health" {
			require.ErrorIs(t, err, rpctypes.ErrCorrupt, o.name)
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
		}
	}
}

// corrupt returns a store on a server whose alarm says that members differ.
func corrupt(tb testing.TB) *KV {
	tb.Helper()
	ctx := tb.Context()
	server := servertest.Etcd(tb)
	client := driver(tb, clientv3.Config{}, server)
	members, err := client.MemberList(ctx)
	require.NoError(tb, err)
	_, err = pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: members.Header.MemberId, Alarm: pb.AlarmType_CORRUPT,
	})
	require.NoError(tb, err)
	return open(tb, Config{}, server)
}

func TestWhoeverIsNotLetInIsRefused(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	withUsers(t, server)
	for _, c := range []struct {
		name string
		cfg  clientv3.Config
		want error
	}{
		{"nobody", clientv3.Config{}, rpctypes.ErrUserEmpty},
		{"a token of nobody's", clientv3.Config{Token: "AAAAAAAAAAAAAAAA.1"}, rpctypes.ErrInvalidAuthToken},
	} {
		kv, err := New(driver(t, c.cfg, server), Config{})
		require.NoError(t, err)
		for _, o := range operations(kv) {
			err := o.call(ctx)
			require.ErrorIs(t, err, c.want, "%s: %s", c.name, o.name)
			require.ErrorIs(t, err, resilient.ErrRefused, "%s: %s", c.name, o.name)
			require.Equal(t, resilient.Refused, kv.Classify(err), "%s: %s", c.name, o.name)
		}
		require.NoError(t, kv.Close())
	}
	kv := open(t, Config{Username: "writer", Password: "wrong"}, server)
	err := kv.SetRaw(ctx, "key", nil)
	require.ErrorIs(t, err, rpctypes.ErrAuthFailed)
	require.Equal(t, resilient.Refused, kv.Classify(err))
	kv = open(t, Config{Username: "reader", Password: secret}, server)
	err = kv.SetRaw(ctx, "key", nil)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	require.Equal(t, resilient.Invalid, kv.Classify(err), "there may be keys that this user may write")
}

func TestAMemberWithoutALeaderRefuses(t *testing.T) {
	members := servertest.EtcdCluster(t, 3)
	kv := open(t, Config{Timeout: 2 * time.Second}, members...)
	members[0].Kill()
	members[1].Kill()
	for _, o := range operations(kv) {
		var err error
		require.Eventually(t, func() bool {
			err = o.call(t.Context())
			return errors.Is(err, rpctypes.ErrNoLeader)
		}, patience, time.Millisecond, o.name)
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
	}
}

// TestClassesOfErrorsThatWereNotProvoked is a table of the driver's values;
// the tests above and those of faults have the others from real servers.
func TestClassesOfErrorsThatWereNotProvoked(t *testing.T) {
	var kv *KV // Classify needs none
	for want, errs := range map[resilient.Class][]error{
		resilient.Refused: {
			rpctypes.ErrNotCapable, rpctypes.ErrTooManyRequests, rpctypes.ErrAuthOldRevision,
			rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner),
		},
		resilient.Invalid: {rpctypes.ErrEmptyKey, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey},
		resilient.Failed: {
			rpctypes.ErrLeaderChanged, rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail,
			rpctypes.ErrTimeoutDueToConnectionLost, rpctypes.ErrStopped, rpctypes.ErrUnhealthy, rpctypes.ErrNotLeader,
		},
	} {
		for _, err := range errs {
			require.Equal(t, want, kv.Classify(fmt.Errorf("wrapped: %w", err)), err)
			explained := explain(t.Context(), true, err)
			require.Equal(t, want, kv.Classify(explained), err)
			require.ErrorIs(t, explained, err)
			require.Equal(t, want == resilient.Failed, errors.Is(explained, resilient.ErrAmbiguous), err)
			require.Equal(t, want == resilient.Refused, errors.Is(explained, resilient.ErrRefused), err)
		}
	}
	for _, code := range []codes.Code{
		codes.Unavailable, codes.Internal, codes.Unknown, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.DataLoss,
	} {
		err := status.Error(code, "something else")
		require.Equal(t, resilient.OK, kv.Classify(err), "%v: don't know", code)
		require.ErrorIs(t, explain(t.Context(), true, err), resilient.ErrAmbiguous, code)
		require.ErrorIs(t, explain(t.Context(), false, err), resilient.ErrUnavailable, code)
	}
	// The one that this driver's list of the server's texts lacks.
	waited := explain(t.Context(), true, rpctypes.Error(rpctypes.ErrGRPCTimeoutWaitAppliedIndex))
	require.ErrorIs(t, waited, resilient.ErrAmbiguous)

	require.Equal(t, resilient.OK, kv.Classify(nil))
	require.Equal(t, resilient.Failed, kv.Classify(fmt.Errorf("%w: %w", resilient.ErrAmbiguous, rpctypes.ErrPermissionDenied)))
	require.Equal(t, resilient.OK, kv.Classify(context.DeadlineExceeded))
	require.Equal(t, resilient.OK, kv.Classify(resilient.ErrNotFound))
}
