package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// act is one part of the script.
type act struct {
	says  string // with %s for the first store
	parts int    // of all acts' parts: how long it lasts
	do    func(first *kvtest.Fault)
}

var script = []act{
	{"both stores are well", 4, (*kvtest.Fault).Up},
	{"%s fails: it refuses every call", 5, (*kvtest.Fault).Down},
	{"%s is back", 5, (*kvtest.Fault).Up},
	{"%s hangs: no call ends, whatever its deadline", 4, hang},
	{"%s goes on, and first with the writes that hung", 6, (*kvtest.Fault).Up},
}

// hang makes a store as a disk that hangs is: nothing ends, and what was sent
// meanwhile is still done when it goes on, long after its caller has left.
func hang(f *kvtest.Fault) {
	f.HangIgnoringContext()
	f.ApplyLate(true)
}

// play acts the script on the first of stores while clients use kv, and
// returns what came of it. The end of ctx ends the script early.
func play(ctx context.Context, o options, kv batchKV, stores []*store, show *timeline) *report {
	calls := newTally()
	clients, ledger := newClients(o, kv, calls)
	group, _ := kv.(debtor)
	var traffic, rows sync.WaitGroup
	stopTraffic, stopRows := make(chan struct{}), make(chan struct{})
	show.head(stores[0].name)
	rows.Go(func() { show.rows(calls, func() int { return owedBy(group) }, stopRows) })
	traffic.Go(func() { drive(clients, stopTraffic) })

	perform(ctx, o.duration, stores[0], show)
	close(stopTraffic)
	traffic.Wait()
	err := comesToRest(group, stores[0].name, show)
	close(stopRows)
	rows.Wait()

	r := newReport(o, calls, show)
	r.handoff = group != nil && o.writes == failover.Handoff
	if err != nil {
		r.problem("%v", err)
	}
	r.compare(kv, ledger, stores)
	return r
}

// perform acts the script within total. Whatever happens, the store is well
// when it returns.
func perform(ctx context.Context, total time.Duration, first *store, show *timeline) {
	defer first.fault.Up()
	all := 0
	for _, a := range script {
		all += a.parts
	}
	for _, a := range script {
		show.say(strings.ReplaceAll(a.says, "%s", first.name))
		a.do(first.fault)
		select {
		case <-time.After(total * time.Duration(a.parts) / time.Duration(all)):
		case <-ctx.Done():
			show.say("interrupted")
			return
		}
	}
}

// debtor is a group that knows what it owes to its members.
type debtor interface {
	Owed() map[string]int
	Active() string
	Flush(ctx context.Context) error
}

func owedBy(group debtor) (n int) {
	if group == nil {
		return 0
	}
	for _, keys := range group.Owed() {
		n += keys
	}
	return n
}

// restWithin is how long a group may take to hand back what it owes, all its
// members being well. A write that timed out is waited for 2 seconds.
const restWithin = 15 * time.Second

var errRestless = errors.New("the group has not come to rest")

// comesToRest waits until nothing is owed and the first store serves again.
func comesToRest(group debtor, first string, show *timeline) error {
	if group == nil {
		return nil
	}
	show.say("no more calls: until nothing is owed and " + first + " serves")
	ctx, cancel := context.WithTimeout(context.Background(), restWithin)
	defer cancel()
	if err := group.Flush(ctx); err != nil {
		return fmt.Errorf("%w: %w", errRestless, err)
	}
	for began := time.Now(); group.Active() != first; {
		if time.Since(began) > restWithin {
			return fmt.Errorf("%w after %v: it owes %v, and %s serves", errRestless, restWithin, group.Owed(), group.Active())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
