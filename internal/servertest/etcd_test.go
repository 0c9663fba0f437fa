package servertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patienceStep is how often a wait looks.
const patienceStep = 20 * time.Millisecond

func TestAMemberOfAnEtcdClusterIsKilledAndStartedAgainWhileTheOthersServe(t *testing.T) {
	members := EtcdCluster(t, 3)
	ready := func(s *Server) error { return etcdReady(t.Context(), "http://"+s.Addr()) }
	members[0].Kill()
	require.Error(t, ready(members[0]))
	require.Eventually(t, func() bool { return ready(members[1]) == nil && ready(members[2]) == nil }, startWithin, patienceStep)
	members[0].Start()
	require.NoError(t, ready(members[0]))

	members[1].Freeze()
	members[2].Freeze()
	require.Eventually(t, func() bool { return ready(members[0]) != nil }, startWithin, patienceStep, "one of three does not serve")
	members[1].Wake()
	members[2].Wake()
	require.Eventually(t, func() bool { return ready(members[0]) == nil }, startWithin, patienceStep)
}

func TestAnEtcdKeepsItsDataAndItsPortOverARestart(t *testing.T) {
	s := Etcd(t)
	addr := s.Addr()
	s.Stop()
	require.Error(t, etcdReady(t.Context(), "http://"+addr))
	s.Start()
	require.Equal(t, addr, s.Addr())
	require.NoError(t, etcdReady(t.Context(), "http://"+addr))
}
