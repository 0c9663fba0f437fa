package kvstatus

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// twoMembers is a group of first and second, watched by p.
func twoMembers(t *testing.T, p *Page) (group *failover.KV, first, second *kvtest.Fault) {
	t.Helper()
	member := func(name string) (*resilient.Store, *kvtest.Fault) {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		fault := kvtest.NewFault(kv)
		s, err := resilient.Wrap(fault, resilient.Config{Name: name, Observer: p})
		require.NoError(t, err)
		return s, fault
	}
	a, first := member("first")
	b, second := member("second")
	group, err := failover.New(failover.Config{Name: "orders", Writes: failover.Mirror, Complete: true, Observer: p}, a, b)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, group.Close()) })
	p.Watch(group)
	return group, first, second
}

// switches returns what the page says of them, oldest first.
func (p *Page) switches() (said []string) {
	for _, n := range p.log.newest() {
		if n.kind == resilient.KindSwitch {
			what, _, _ := strings.Cut(n.what(), ":")
			said = append([]string{what}, said...)
		}
	}
	return said
}

// served returns for how many of the seconds shown each member serves.
func (p *Page) served() (seconds []float64) {
	for _, m := range p.unit(&p.read()[0], time.Now()).Members {
		total := 0.0
		for _, band := range m.Line.Serving {
			total += band.Width
		}
		seconds = append(seconds, total)
	}
	return seconds
}

func TestRegression_ThePageSaysThatNobodyServesWhileAMemberDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		_, first, second := twoMembers(t, p)
		first.Down()
		time.Sleep(time.Minute)
		second.Down()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"second serves in place of first", "nobody serves, second did"}, p.switches())
		second.Up()
		time.Sleep(time.Minute)
		require.Equal(t, "second serves in place of first", p.switches()[2], "the switch is told before the change of the breaker")
		require.InDelta(t, 100, p.served()[1], 40, "before the outage of both and after it")
	})
}

func TestRegression_TheTimelineForgetsWhoServesAfterAllWereAway(t *testing.T) {
	for name, last := range map[string]int{"the first goes last": 0, "the second goes last": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Config{})
				_, first, second := twoMembers(t, p)
				both := []*kvtest.Fault{first, second}
				both[1-last].Down()
				time.Sleep(30 * time.Second)
				both[last].Down()
				time.Sleep(2 * time.Minute)
				before := p.served()
				require.InDelta(t, 30, before[last], 15, "until it went away")
				require.Less(t, before[1-last], 12.0)
				first.Up()
				time.Sleep(100 * time.Second)
				after := p.served()
				require.InDelta(t, before[0]+80, after[0], 25, "the first serves again")
				require.Equal(t, before[1], after[1])
			})
		})
	}
}
