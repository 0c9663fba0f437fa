package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// leader returns the index of the member that leads.
func leader(tb testing.TB, members []*servertest.Server) int {
	tb.Helper()
	client := driver(tb, clientv3.Config{}, members...)
	for i, m := range members {
		ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
		status, err := client.Status(ctx, m.Addr())
		cancel()
		if err == nil && status.Leader == status.Header.MemberId {
			return i
		}
	}
	tb.Fatal("no member leads")
	return -1
}

func TestAnyEndpointMayBeDown(t *testing.T) {
	ctx := t.Context()
	members := servertest.EtcdCluster(t, 3)
	for down := range members {
		members[down].Kill()
		fresh := open(t, Config{}, members...)
		works(t, fresh)
		for i := range 20 {
			key := fmt.Sprint("down ", down, i)
			require.NoError(t, fresh.SetRaw(ctx, key, nil))
			require.NoError(t, fresh.Health(ctx))
			value, err := fresh.GetRaw(ctx, key)
			require.NoError(t, err)
			require.Equal(t, []byte{}, value)
		}
		members[down].Start()
	}
}

func TestAfterTheLeadersDeathTheOthersServeAndNothingAcknowledgedIsLost(t *testing.T) {
	ctx := t.Context()
	members := servertest.EtcdCluster(t, 3)
	kv := open(t, Config{Timeout: 2 * time.Second}, members...)
	works(t, kv)
	dead := leader(t, members)
	wrote, acked := 0, 0
	write := func() error {
		wrote++
		err := kv.SetRaw(ctx, "last", fmt.Append(nil, wrote))
		if err == nil {
			acked = wrote
		}
		return err
	}
	for range 50 {
		require.NoError(t, write())
	}
	members[dead].Kill()
	elected := 0
	require.Eventually(t, func() bool {
		if err := write(); err != nil {
			require.ErrorIs(t, err, resilient.ErrUnavailable)
			return false
		}
		elected++
		return elected == 50
	}, patience, time.Millisecond, "writes are acknowledged after the election")
	works(t, kv)
	value, err := kv.GetRaw(ctx, "last")
	require.NoError(t, err)
	var last int
	_, err = fmt.Sscan(string(value), &last)
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, acked)
}

func TestMembersWithoutAMajorityRefuseSoon(t *testing.T) {
	members := servertest.EtcdCluster(t, 3)
	kv := open(t, Config{Timeout: 2 * time.Second}, members...)
	works(t, kv)
	members[0].Kill()
	members[1].Kill()
	for _, o := range operations(kv) {
		require.Eventually(t, func() bool {
			err := o.call(t.Context())
			require.Error(t, err, o.name)
			require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
			return errors.Is(err, resilient.ErrRefused)
		}, patience, time.Millisecond, "%s is refused once the member has noticed", o.name)
	}
	members[0].Start()
	works(t, kv)
}

func TestAFrozenMemberKeepsItsShareOfCallsWaitingAndIsThenLeftAlone(t *testing.T) {
	members := servertest.EtcdCluster(t, 3)
	kv := open(t, Config{Timeout: 300 * time.Millisecond}, members...)
	works(t, kv)
	frozen := (leader(t, members) + 1) % 3
	members[frozen].Freeze()
	defer members[frozen].Wake()
	good := 0
	require.Eventually(t, func() bool {
		if err := kv.SetRaw(t.Context(), "key", nil); err != nil {
			require.ErrorIs(t, err, resilient.ErrAmbiguous)
			good = 0
			return false
		}
		good++
		return good == 12
	}, patience, time.Millisecond, "twelve calls in a row have met none but the others")
}
