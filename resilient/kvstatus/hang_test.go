package kvstatus

import (
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// hungGroup is a group whose members hang, watched by p.
func hungGroup(t *testing.T, p *Page) []*kvtest.Fault {
	t.Helper()
	var faults []*kvtest.Fault
	var members []resilient.KVWithHealth
	for range 2 {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		faults = append(faults, kvtest.NewFault(kv))
		members = append(members, faults[len(faults)-1])
	}
	group, err := failover.New(failover.Config{Name: "orders", Writes: failover.Mirror, Complete: true, Observer: p}, members...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, group.Close()) })
	p.Watch(group)
	for _, f := range faults {
		f.Hang()
	}
	return faults
}

func TestEveryEndpointAnswersAtOnceWhileEveryMemberHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		faults := hungGroup(t, p)
		time.Sleep(20 * time.Second) // some checks hang
		require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/readyz").Code)
		began := time.Now()
		for _, path := range paths {
			get(t, p, path)
		}
		require.Zero(t, time.Since(began), "of the bubble's time")
		for _, f := range faults {
			f.Up()
		}
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, get(t, p, "/readyz").Code)
	})
}

func TestS21_AStormOfRequestsCausesNoCheckAndTakesNoMemory(t *testing.T) {
	p := New(Config{})
	kv, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	fault := kvtest.NewFault(kv)
	s, err := resilient.Wrap(fault, resilient.Config{Observer: p, Probe: resilient.Probe{Interval: -1}})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	p.Watch(s)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	storm := func(n int) {
		for range n {
			for _, path := range append(paths, "/readyz?readonly", "/none") {
				get(t, p, path)
			}
		}
	}
	storm(10)
	before := heap()
	storm(500)
	require.Less(t, heap(), before+1<<20)
	require.Zero(t, fault.Count(resilient.OpHealth))
	require.Zero(t, fault.Calls())
	runtime.KeepAlive(p)
}

func TestAStatusThatHangsIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		st := resilient.Status{Name: "foreign", Condition: resilient.Up}
		p := New(Config{})
		p.Watch(statusOf(func() resilient.Status {
			<-hang
			return st
		}), says(resilient.Status{Name: "redis", Condition: resilient.Up}))
		began := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/readyz").Code)
		require.Equal(t, patience, time.Since(began))
		for _, path := range paths {
			get(t, p, path)
		}
		require.Equal(t, patience, time.Since(began), "it is late already")
		require.Contains(t, get(t, p, "/health").Body.String(), "does not say how it is")
		require.Contains(t, get(t, p, "/").Body.String(), "It has not said how it is.")

		close(hang)
		synctest.Wait()
		require.Equal(t, http.StatusOK, get(t, p, "/readyz").Code)
	})
}

func TestS28_AStatusThatPanicsOrEndsItsGoroutineIsUnknown(t *testing.T) {
	for name, ends := range map[string]func(){"panic": func() { panic("SECRET") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := true
				p := New(Config{})
				p.Watch(statusOf(func() resilient.Status {
					if !good {
						ends()
					}
					return resilient.Status{Name: "foreign", Condition: resilient.Up}
				}))
				require.Equal(t, http.StatusOK, get(t, p, "/readyz").Code)
				good = false
				began := time.Now()
				for _, path := range paths {
					require.NotContains(t, get(t, p, path).Body.String(), "SECRET", path)
				}
				require.Zero(t, time.Since(began))
				require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/readyz").Code)
				require.Contains(t, get(t, p, "/").Body.String(), "What is shown is what it said last.")
			})
		})
	}
}

// hungError is an error whose methods hang.
type hungError struct{ until chan struct{} }

func (e hungError) Error() string {
	<-e.until
	return "late"
}

func (e hungError) Is(error) bool {
	<-e.until
	return false
}

func TestAnErrorWhoseMethodsHangHangsNoEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		st := groupStatus(time.Now())
		st.Members[0].LastProbe.Err = hungError{until}
		p := New(Config{WithErrors: true})
		p.Watch(says(st))
		began := time.Now()
		for _, path := range paths {
			get(t, p, path)
		}
		require.Equal(t, patience, time.Since(began))
		close(until)
		synctest.Wait()
		require.Contains(t, get(t, p, "/health").Body.String(), "failed: late")
		require.Equal(t, hungError{until}, st.Members[0].LastProbe.Err, "the Reporter's own status stays as it was")
	})
}
