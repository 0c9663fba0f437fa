package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// growth measures what a call and a Store cost when there is more of something.
func growth(b *bench) {
	b.text.heading("Growth")
	b.growMembers()
	b.growOwed()
	b.idle.write(b)
}

// setOf returns the way to set the key in kv.
func setOf(name string, kv resilient.KV) way {
	value := make([]byte, valueSize)
	return way{name: name, call: func(ctx context.Context) error { return kv.SetRaw(ctx, key, value) }}
}

// growMembers measures groups of more and more members.
func (b *bench) growMembers() {
	members := []int{1, 2, 4, 8}
	var ways []way
	for _, n := range members {
		all := make([]resilient.KVWithHealth, n)
		for i := range all {
			all[i] = newConstant()
		}
		handoff := b.group(failover.Config{Member: untimed}, all...)
		for i := range all {
			all[i] = newConstant()
		}
		copies := b.group(mirror(untimed), all...)
		ways = append(ways, getOf("Get", copies), setOf("Set, handoff", handoff), setOf("Set, mirror", copies))
	}
	kinds := len(ways) / len(members)
	found := b.turns(1, ways...)
	c := chart{title: "A call through failover by members", x: "members", y: "ns (logarithmic)", logarithmic: true}
	header, rows := []string{"ns by members"}, make([][]string, kinds)
	for kind := range kinds {
		l := line{name: ways[kind].name}
		rows[kind] = []string{l.name}
		for i := range members {
			s := found[i*kinds+kind]
			l.ys = append(l.ys, s.median())
			rows[kind] = append(rows[kind], spread(s))
		}
		c.lines = append(c.lines, l)
	}
	for _, n := range members {
		c.ticks = append(c.ticks, fmt.Sprint(n))
		header = append(header, fmt.Sprint(n))
	}
	b.text.write("**More members.** All are in memory and answer at once; `Timeout: -1`, nothing owed. A mirror's Set goes to all members side by side.")
	b.text.table(header, rows)
	b.plot("members", c)
}

// growOwed measures a group whose second member is owed more and more keys.
func (b *bench) growOwed() {
	counts := pick(b, []int{0, 1000, 100_000}, []int{0, 10})
	var ways []way
	var bytesPerKey float64
	for _, n := range counts {
		before := heap()
		cfg := mirror(untimed)
		cfg.Journal = failover.MemoryJournal(2 * max(n, 1000))
		kv, err := failover.New(cfg, newConstant(), newConstant())
		b.must(err)
		b.tb.Cleanup(func() { b.dismiss(kv) })
		second := kv.Status().Members[1].Name
		b.must(kv.Drain(second))
		b.owe(kv, n)
		if n > 0 {
			bytesPerKey = (heap() - before) / float64(n) // the last and largest count's is reported
		}
		other := getOf("Get of a key that is not owed", kv)
		owed := way{name: "Get of a key that is owed", call: func(ctx context.Context) error { _, err := kv.GetRaw(ctx, owedKey(0)); return err }}
		value := make([]byte, valueSize)
		again := way{name: "Set of a key that is owed", call: func(ctx context.Context) error { return kv.SetRaw(ctx, owedKey(0), value) }}
		ways = append(ways, other, owed, again)
	}
	kinds := len(ways) / len(counts)
	found := b.turns(1, ways...)
	c := chart{title: "A call through failover by keys that the second member is owed", x: "keys owed", y: "ns (logarithmic)", logarithmic: true}
	header, rows := []string{"ns by keys owed"}, make([][]string, kinds)
	for kind := range kinds {
		l := line{name: ways[kind].name}
		rows[kind] = []string{l.name}
		for i := range counts {
			s := found[i*kinds+kind]
			l.ys = append(l.ys, s.median())
			rows[kind] = append(rows[kind], spread(s))
		}
		c.lines = append(c.lines, l)
	}
	for _, n := range counts {
		c.ticks = append(c.ticks, thousands(float64(n)))
		header = append(header, thousands(float64(n)))
	}
	b.text.write(fmt.Sprintf("**More keys owed.** The second of two members, drained, is owed that many keys with values of %d bytes, in a journal in memory.", valueSize),
		"The group that owes none at the beginning owes the one key that the last line sets.",
		fmt.Sprintf("An owed key takes %s bytes of memory, key and value (%d bytes) included.", count(float64(int(bytesPerKey))), valueSize+len(owedKey(0))))
	b.text.table(header, rows)
	b.plot("owed", c)
}

func owedKey(i int) string { return fmt.Sprintf("user:%08d:profile", i) }

// owe writes n keys of which a member that is away gets none.
func (b *bench) owe(kv *failover.KV, n int) {
	b.tb.Helper()
	ctx := context.Background()
	for at := 0; at < n; at += 1000 {
		batch := map[string][]byte{}
		for i := at; i < min(at+1000, n); i++ {
			batch[owedKey(i)] = make([]byte, valueSize)
		}
		b.must(kv.BatchSetRaw(ctx, batch))
	}
}

// dismiss closes a group that owes what nobody needs.
func (b *bench) dismiss(kv *failover.KV) {
	for name, n := range kv.Owed() {
		if n > 0 {
			_, err := kv.Discard(name)
			b.must(err)
		}
	}
	b.must(kv.Close())
}

// storeCosts is what Stores cost that nobody calls: their probes.
type storeCosts struct {
	window time.Duration // of CPU time
	counts []int         // Stores in the process
	micros []float64     // of CPU per Store and second; NaN = too little to tell
	bytes  []float64     // of memory per Store
}

// idleStores measures what Stores cost that nobody calls. What the process takes
// without them differs from one time to the next, and what is less than that
// difference cannot be told.
func idleStores(b *bench) {
	c := storeCosts{
		window: pick(b, 10*time.Second, 100*time.Millisecond),
		counts: pick(b, []int{1, 10, 100, 300, 1000}, []int{1, 10}),
	}
	var idle series
	for range 3 {
		idle = append(idle, b.processorTime(c.window))
	}
	unsure := slices.Max(idle) - slices.Min(idle)
	for _, n := range c.counts {
		before := heap()
		stores := make([]*resilient.Store, n)
		for i := range stores {
			s, err := resilient.Wrap(newConstant(), resilient.Config{})
			b.must(err)
			stores[i] = s
		}
		time.Sleep(c.window / 10) // the first probes
		c.bytes = append(c.bytes, (heap()-before)/float64(n))
		took := b.processorTime(c.window) - idle.median()
		if took < unsure {
			took = math.NaN()
		}
		c.micros = append(c.micros, took*1e6/float64(n))
		for _, s := range stores {
			b.must(s.Close())
		}
	}
	b.idle = c
}

// write puts the costs into the page.
func (c storeCosts) write(b *bench) {
	var header, cpu, memory, ticks []string
	for i, n := range c.counts {
		header, ticks = append(header, thousands(float64(n))), append(ticks, thousands(float64(n)))
		if math.IsNaN(c.micros[i]) {
			cpu = append(cpu, "too little to tell")
		} else {
			cpu = append(cpu, fmt.Sprintf("%.1f", c.micros[i]))
		}
		memory = append(memory, thousands(c.bytes[i]))
	}
	b.text.write("**More Stores.** They guard stores in memory whose health check answers at once; nobody calls them.",
		fmt.Sprintf("CPU of the process over %v, less what it takes without them; what is less than the difference between three such times", c.window),
		"without them cannot be told. Memory is the heap's and the stacks'.")
	b.text.table(append([]string{"by Stores in the process"}, header...), [][]string{
		append([]string{"µs of CPU per Store and second"}, cpu...),
		append([]string{"bytes of memory per Store"}, memory...),
	})
	b.plot("stores", chart{
		title: "CPU per Store that nobody calls", x: "Stores in the process", y: "µs of CPU per Store and second", ticks: ticks,
		lines: []line{{name: "health probes with the default intervals", ys: c.micros}},
	})
}

// processorTime returns how many seconds of CPU the process uses per second.
func (b *bench) processorTime(window time.Duration) float64 {
	b.tb.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		b.must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, began := used(), time.Now()
	time.Sleep(window)
	return float64(used()-before) / float64(time.Since(began))
}
