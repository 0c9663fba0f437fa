package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// report is what came of it all.
type report struct {
	handoff    bool // the second store only stands in for the first
	took       time.Duration
	counts     counts
	failed     complaints // calls
	wrong      complaints // reads
	owed       int
	handedBack int
	switches   int
	compared   int        // keys that ever had an acknowledged write
	lost       complaints // keys that do not hold what was acknowledged
	differ     complaints // keys at which a store does not hold what the group says
	other      complaints
	timeout    time.Duration // of one attempt
}

func newReport(o options, calls *tally, show *timeline) *report {
	r := &report{took: time.Since(show.began), timeout: o.timeout}
	calls.mu.Lock()
	r.counts, r.failed, r.wrong = calls.counts, calls.failed, calls.wrong
	calls.mu.Unlock()
	show.mu.Lock()
	defer show.mu.Unlock()
	r.owed, r.handedBack, r.switches = show.owed, show.handedBack, show.switches
	if show.lost > 0 {
		r.problem("the group gave %d writes up", show.lost)
	}
	return r
}

func (r *report) problem(format string, args ...any) { r.other.add(fmt.Sprintf(format, args...)) }

// good reports whether nothing was lost and no call failed. In mode handoff reads
// may be uncertain.
func (r *report) good() bool {
	return r.failed.n+r.wrong.n+r.lost.n+r.differ.n+r.other.n == 0 && (r.handoff || r.counts.uncertain == 0)
}

// compare compares what kv says of every key with what was acknowledged, and
// what each store holds with what kv says: all of it, or in mode handoff nothing
// for a store that stood in. Nobody writes meanwhile.
func (r *report) compare(kv resilient.KV, l *ledger, stores []*store) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.compared = l.everAcked()
	values := map[string][]byte{} // those that are there
	for _, key := range l.keys {
		value, err := get(ctx, kv, key)
		if err == nil {
			err = l.own(key, value)
		}
		if err != nil {
			r.lost.add(err.Error())
		}
		if value != nil {
			values[key] = value
		}
	}
	r.compareList(ctx, "the list", kv, values)
	for i, s := range stores {
		if r.handoff && i > 0 {
			values = nil
		}
		for _, key := range l.keys {
			value, err := get(ctx, s.disk, key)
			if err != nil || string(value) != string(values[key]) {
				r.differ.add(fmt.Sprintf("%s: %s holds %s, not %s (error: %v)", s.name, key, show(value), show(values[key]), err))
			}
		}
		r.compareList(ctx, s.name, s.disk, values)
	}
}

// compareList compares the keys that kv lists with those of values.
func (r *report) compareList(ctx context.Context, name string, kv resilient.KV, values map[string][]byte) {
	keys, err := kv.List(ctx, "")
	if err != nil {
		r.problem("%s: %v", name, err)
		return
	}
	for _, key := range keys {
		if _, ok := values[key]; !ok {
			r.differ.add(fmt.Sprintf("%s has %s, which should not be there", name, key))
		}
	}
	for key := range values {
		if _, ok := slices.BinarySearch(keys, key); !ok {
			r.differ.add(fmt.Sprintf("%s lacks %s", name, key))
		}
	}
}

// get returns the value of key, nil if there is none.
func get(ctx context.Context, kv resilient.KV, key string) ([]byte, error) {
	value, err := kv.GetRaw(ctx, key)
	if errors.Is(err, resilient.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// print writes the table, and what went wrong in words.
func (r *report) print(out io.Writer) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(what string, n any, more string) { fmt.Fprintf(w, "%s\t%v\t%s\n", what, n, more) }
	row("calls", r.counts.calls, fmt.Sprintf("in %.1fs", r.took.Seconds()))
	row("failed calls", r.failed.n, "")
	if r.handoff {
		row("uncertain reads", r.counts.uncertain, "of what only the store that was away has: refused, not answered wrongly")
	} else {
		row("uncertain reads", r.counts.uncertain, "")
	}
	row("wrong reads", r.wrong.n, "")
	row("slowest call", r.counts.slowest.Round(time.Millisecond),
		fmt.Sprintf("%s at %.2fs; one attempt may take %v", r.counts.slowestOp, r.counts.slowestAt.Seconds(), r.timeout))
	row("switches", r.switches, "of the store that serves")
	row("writes owed", r.owed, "to a store that was away or late")
	row("handed back", r.handedBack, "the newest of each key; where the store got a later write, none")
	row("keys compared", r.compared, "as acknowledged, through the group and in each store")
	row("stores differ", r.differ.n, "")
	row("acknowledged writes lost", r.lost.n, "")
	_ = w.Flush()
	for _, part := range []struct {
		what string
		c    complaints
	}{
		{"failed calls", r.failed}, {"wrong reads", r.wrong}, {"acknowledged writes lost", r.lost},
		{"stores differ", r.differ}, {"other faults", r.other},
	} {
		if part.c.n == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s: %d\n", part.what, part.c.n)
		for _, text := range part.c.first {
			fmt.Fprintln(out, "  ", text)
		}
		if more := part.c.n - len(part.c.first); more > 0 {
			fmt.Fprintln(out, "   and", more, "more")
		}
	}
}
