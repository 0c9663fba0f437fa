package kvstatus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestACallAllocatesNothing(t *testing.T) {
	p := New(Config{})
	ctx := context.Background()
	for _, kind := range []resilient.Kind{resilient.KindCall, resilient.KindDone, resilient.KindOwed, resilient.KindStale} {
		e := callOf("orders")
		e.Kind = kind
		p.Observe(ctx, e) // makes what is remembered
		for range 10 {
			p.Observe(ctx, e)
		}
		e.Time = time.Now()
		require.Zero(t, testing.AllocsPerRun(200, func() { p.Observe(ctx, e) }), kind)
	}
}

func TestS22_MemoryIsBoundedWhateverIsTold(t *testing.T) {
	p := New(Config{Events: 50})
	ctx := context.Background()
	kinds := []resilient.Kind{
		resilient.KindCall, resilient.KindDone, resilient.KindProbe, resilient.KindChange, resilient.KindSwitch, resilient.KindOwed,
		resilient.KindHandedBack, resilient.KindStale, resilient.KindLost, 200,
	}
	tell := func(n int) {
		for i := range n {
			p.Observe(ctx, resilient.Event{
				Kind: kinds[i%len(kinds)], Group: fmt.Sprint("g", i%7000), Store: fmt.Sprint("s", i%90), Reason: strings.Repeat("x", 10_000),
				From: "a", To: "b", Time: time.Unix(int64(i), 0), Err: errors.New("e"), Class: resilient.Failed,
			})
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	tell(10_000)
	require.Len(t, *p.records.all.Load(), maxSources)
	require.Len(t, p.log.newest(), 50)
	for _, n := range p.log.newest() {
		require.LessOrEqual(t, len(n.reason), maxText+len("…"))
	}
	before := heap()
	tell(50_000)
	require.Less(t, heap(), before+1<<20)
	runtime.KeepAlive(p)
}

func TestRunsOfTheSameEventAreOneLine(t *testing.T) {
	p := New(Config{})
	at := time.Now()
	tell := func(kind resilient.Kind, after time.Duration, count int) {
		p.Observe(t.Context(), resilient.Event{Kind: kind, Group: "orders", Store: "bolt", Time: at.Add(after), Count: count})
	}
	for i := range 1000 {
		tell(resilient.KindOwed, time.Duration(i)*time.Millisecond, 1)
	}
	tell(resilient.KindOwed, 2*time.Second, 34) // a batch
	tell(resilient.KindHandedBack, 3*time.Second, 500)
	tell(resilient.KindHandedBack, 4*time.Second, 534)
	tell(resilient.KindLost, 4500*time.Millisecond, 7)
	tell(resilient.KindOwed, 5*time.Second, 1) // the run goes on
	tell(resilient.KindOwed, time.Minute, 1)
	said := []string{}
	for _, n := range p.log.newest() {
		said = append(said, strings.ReplaceAll(n.what(), gap, " "))
	}
	require.Equal(t, []string{
		"bolt missed 1 write", "bolt missed 1,035 writes", "7 writes owed to bolt given up", "1,034 owed writes handed back to bolt",
	}, said)
}

func TestOnlyHealthChecksThatSayAnythingNewAreEvents(t *testing.T) {
	p := New(Config{})
	at := time.Now()
	for i, e := range []resilient.Event{
		{}, {}, {Slow: true}, {Slow: true}, {},
		{Class: resilient.Refused, Err: errors.New("no")}, {Class: resilient.Refused, Err: errors.New("no")}, {},
	} {
		e.Kind, e.Store, e.Time, e.Duration = resilient.KindProbe, "bolt", at.Add(time.Duration(i)*time.Second), time.Millisecond
		p.Observe(t.Context(), e)
	}
	said := []string{}
	for _, n := range p.log.newest() {
		said = append(said, strings.ReplaceAll(n.what(), gap, " "))
	}
	require.Equal(t, []string{
		"health check of bolt is good: 1.0 ms", "health check of bolt: refused after 1.0 ms",
		"health check of bolt is good: 1.0 ms", "health check of bolt is slow: 1.0 ms",
	}, said)
	require.Len(t, p.records.find(source{store: "bolt"}).pastChecks(), 8, "all are drawn")
}

func TestATimelineShowsWhatHeldWhen(t *testing.T) {
	p := New(Config{})
	now := time.Now()
	p.began = now.Add(-200 * time.Second)
	ago := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
	text := func(all []stretch) (said []string) {
		for _, s := range all {
			said = append(said, fmt.Sprintf("%s %.0f+%.0f %v", s.value, s.x, s.width, s.began))
		}
		return said
	}
	require.Equal(t, []string{"closed 100+200 false"}, text(p.stretches(nil, "closed", ago(1000), now)), "since the page is there")
	require.Equal(t, []string{"open 240+60 false"}, text(p.stretches(nil, "open", ago(60), now)), "nobody told what was before")
	turns := []turn{{at: ago(120), from: "closed", to: "open"}, {at: ago(20), from: "open", to: "half-open"}, {at: ago(10), from: "half-open", to: "closed"}}
	require.Equal(t, []string{"closed 100+80 false", "open 180+100 true", "half-open 280+10 true", "closed 290+10 true"},
		text(p.stretches(turns, "closed", ago(10), now)))
	old := []turn{{at: ago(1000), from: "closed", to: "open"}}
	p.began = ago(5000)
	require.Equal(t, []string{"open 0+300 false"}, text(p.stretches(old, "open", ago(1000), now)))
}

func TestWordsForTimesAndNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"0 s": span(-time.Second), "59 s": span(59 * time.Second), "1 min": span(time.Minute), "4 min 10 s": span(250 * time.Second),
		"3 h 2 min": span(3*time.Hour + 2*time.Minute + time.Second), "2 d": span(48 * time.Hour), "2 d 3 h": span(51 * time.Hour),
		"0 ns": latency(0), "410 µs": latency(410 * time.Microsecond), "1.5 ms": latency(1500 * time.Microsecond), "12 s": latency(12 * time.Second),
		"0": number(0), "999": number(999), "1,000": number(1000), "12,345,678": number(12345678), "-1,234": number(-1234),
		"1000 B": size(1000), "1.5 KiB": size(1536), "12 MiB": size(12 << 20),
		"0.3": rate(0.3), "427": rate(427.2), "1 write": counted(1, "write", "writes"),
	} {
		require.Equal(t, want, strings.ReplaceAll(got, gap, " "))
	}
	long := clip(strings.Repeat("é", maxText))
	require.True(t, strings.HasSuffix(long, "é…"))
	require.LessOrEqual(t, len(long), maxText+len("…"))
}

func TestWithAllMembersAwayNobodyServes(t *testing.T) {
	p := New(Config{})
	p.began = time.Now().Add(-time.Hour)
	now := time.Now()
	tell := func(kind resilient.Kind, store, from, to string, ago time.Duration) {
		p.Observe(t.Context(), resilient.Event{
			Kind: kind, Group: "orders", Store: store, From: from, To: to, Time: now.Add(-ago), Nobody: to == "bolt",
		})
	}
	tell(resilient.KindChange, "bolt", "closed", "open", 2*time.Minute)
	tell(resilient.KindSwitch, "badger", "bolt", "badger", 2*time.Minute)
	tell(resilient.KindChange, "badger", "closed", "open", time.Minute)
	tell(resilient.KindSwitch, "bolt", "badger", "bolt", time.Minute)
	require.Equal(t, "nobody serves, badger did", p.log.newest()[0].what())
	st := groupStatus(now)
	st.Condition, st.Active, st.Members[1].Condition = resilient.Down, "bolt", resilient.Down
	u := p.unit(&reading{Status: st, known: true, ever: true}, now)
	require.Equal(t, "Nobody serves.", u.Verdict)
	require.False(t, u.Members[0].Serves)
	require.Len(t, u.Members[0].Line.Serving, 1)
	require.InDelta(t, 180, u.Members[0].Line.Serving[0].Width, 1, "until the first switch")
	require.InDelta(t, 60, u.Members[1].Line.Serving[0].Width, 1)

	untold := New(Config{}) // of no event
	untold.began = now.Add(-time.Hour)
	for _, m := range untold.unit(&reading{Status: st, known: true, ever: true}, now).Members {
		require.Empty(t, m.Line.Serving)
	}
}

func TestACallOfALoneStoreIsCountedOnce(t *testing.T) {
	p := New(Config{})
	call := callOf("")
	done := call
	done.Kind = resilient.KindDone
	p.Observe(t.Context(), call)
	p.Observe(t.Context(), done)
	total := p.records.find(source{store: "bolt"}).calls.between(call.Time.Unix()+1, 1)
	require.Equal(t, 1, total.calls())
}
