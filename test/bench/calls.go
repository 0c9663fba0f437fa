package main

import (
	"fmt"
	"slices"
)

// measured is a way with what was found.
type measured struct {
	way
	allocs float64
	ns     map[int]series // by how many callers there were
}

// compare measures ways with each number of callers.
func (b *bench) compare(callers []int, ways []way) []measured {
	out := make([]measured, len(ways))
	for i, w := range ways {
		out[i] = measured{way: w, allocs: b.allocations(w), ns: map[int]series{}}
	}
	for _, n := range callers {
		for i, s := range b.turns(n, ways...) {
			out[i].ns[n] = s
		}
	}
	return out
}

// named returns the one of that name.
func named(all []measured, name string) measured {
	return all[slices.IndexFunc(all, func(m measured) bool { return m.name == name })]
}

// callers are how many make calls at once.
var callers = []int{1, 2, 8, 64}

// calls measures what guards a call, with a store that answers at once.
func calls(b *bench) {
	b.text.heading("Calls of a store that answers at once")
	b.text.write("A Get of a store in memory that does nothing but answer. `ns` is the time from one answer to the next: with several",
		"callers that is a call's time divided by how many of them get on at once. In brackets: the quartiles of the rounds.",
		"\"Over bare\" and \"x gobreaker\" are medians of the differences and ratios within each round.")
	closed := b.compare(callers, b.guards())
	b.table("The store is well.", closed, bareCall, gobreakerCall)
	refused := b.compare(callers, b.refusals())
	b.table("The breaker is open: the call is refused.", refused, "", gobreakerCall)
	away := b.compare(callers, b.detours())
	b.table("The first of two stores is known to be away.", away, "the second store, bare", "")
	b.plotCalls(closed)
	b.callTargets(closed, refused)

	one := func(m measured) []string { return []string{nanoseconds(m.ns[1].median()), count(m.allocs)} }
	b.costs = [][]string{
		append([]string{"bare"}, one(named(closed, bareCall))...),
		append([]string{"through a `Store`, `Timeout: -1`"}, one(named(closed, storeCall))...),
		append([]string{"through a `Store` with the default timeout"}, one(named(closed, storeTimed))...),
		append([]string{"refused by a `Store` whose breaker is open"}, one(named(refused, storeRefused))...),
		append([]string{"through a group of two, `Timeout: -1`, no deadline, nothing owed"}, one(named(closed, groupCall))...),
		append([]string{"the same with the first of the two away"}, one(named(away, groupCall))...),
		append([]string{"for comparison: through gobreaker's `Execute`, a breaker alone"}, one(named(closed, gobreakerCall))...),
		append([]string{"for comparison: through failsafe-go's retry and breaker"}, one(named(closed, failsafeRetry))...),
	}
}

// table writes what was found of ways that do the same. base and peer name the
// ways that others are compared with; "" = there is none.
func (b *bench) table(title string, all []measured, base, peer string) {
	header := []string{"way", "ns, 1 caller"}
	if base != "" {
		header = append(header, "over bare")
	}
	if peer != "" {
		header = append(header, "x gobreaker")
	}
	header = append(header, "ns, 2 callers", "8", "64", "allocations")
	var rows [][]string
	for _, m := range all {
		s := m.ns[1]
		row := []string{m.name, spread(s)}
		if base != "" {
			row = append(row, nanoseconds(s.minus(named(all, base).ns[1]).median()))
		}
		if peer != "" {
			row = append(row, ratio(s.over(named(all, peer).ns[1]).median()))
		}
		for _, n := range callers[1:] {
			row = append(row, nanoseconds(m.ns[n].median()))
		}
		rows = append(rows, append(row, count(m.allocs)))
	}
	b.text.write("**" + title + "**")
	b.text.table(header, rows)
}

func (b *bench) plotCalls(closed []measured) {
	c := chart{title: "A Get of a store that answers at once", x: "callers at once", y: "ns from answer to answer (logarithmic)", logarithmic: true}
	for _, n := range callers {
		c.ticks = append(c.ticks, fmt.Sprint(n))
	}
	for _, name := range []string{bareCall, storeCall, storeTimed, groupCall, gobreakerCall, failsafeRetry} {
		l := line{name: plain(name)}
		for _, n := range callers {
			l.ys = append(l.ys, named(closed, name).ns[n].median())
		}
		c.lines = append(c.lines, l)
	}
	b.plot("calls", c)
}

func (b *bench) callTargets(closed, refused []measured) {
	difference := func(what, goal string, than, base measured, most, allocs float64) {
		ns := than.ns[1].minus(base.ns[1]).median()
		b.check(what, goal, fmt.Sprintf("%s ns, %s", nanoseconds(ns), allocations(than.allocs)), ns <= most && than.allocs <= allocs)
	}
	bare, store := named(closed, bareCall), named(closed, storeCall)
	difference("Get through a `Store`, `Timeout: -1`, over the bare call", "<= 25 ns, 0 allocations", store, bare, 25, 0)
	flat := store.ns[64].over(store.ns[1]).median()
	b.check("the same with 64 callers at once, against 1", "<= x 1.1", "x "+ratio(flat), flat <= 1.1)
	difference("Get through a `Store` with the default timeout, over the bare call", "<= 200 ns, <= 1 allocation",
		named(closed, storeTimed), bare, 200, 1)
	difference("Get through `failover` of two, `Timeout: -1`, over the `Store`", "<= 30 ns, 0 allocations",
		named(closed, groupCall), store, 30, 0)
	refusal := func(what string, r measured) {
		ns := r.ns[1].median()
		b.check(what, "<= 15 ns, 0 allocations", fmt.Sprintf("%s ns, %s", nanoseconds(ns), allocations(r.allocs)), ns <= 15 && r.allocs == 0)
	}
	refusal("refusal by an open breaker", named(refused, breakerRefused))
	refusal("the same through a `Store`, whose error names the call", named(refused, storeRefused))
}
