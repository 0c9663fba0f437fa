package failover

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Flush hands back now what members are owed, and waits for what has to wait.
// It returns nil only if nothing is owed, removals of copies included; else an
// error that says to whom, at ctx's end at the latest, or resilient.ErrClosed.
func (f *KV) Flush(ctx context.Context) error {
	if f.closing.Load() {
		return resilient.ErrClosed
	}
	return f.flush(unsigned(ctx))
}

func (f *KV) flush(ctx context.Context) error {
	for {
		waits, failed := f.flushOnce(ctx)
		if f.backlog.empty() {
			return nil
		}
		if failed != nil && !waits {
			return failed
		}
		select {
		case <-time.After(minQuiet / 8):
		case <-f.ctx.Done():
			return resilient.ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("failover: owed to %s: %w", f.allOwed(), ctx.Err())
		}
	}
}

// flushOnce hands back to all members side by side. It reports whether some keys
// have to wait, and why a member takes nothing.
func (f *KV) flushOnce(ctx context.Context) (waits bool, failed error) {
	passes := make([]pass, len(f.peers))
	var wg sync.WaitGroup
	for _, p := range f.peers {
		due := f.backlog.due(p.i)
		if len(due) == 0 {
			continue
		}
		wg.Go(func() {
			passes[p.i] = f.handBack(ctx, p, due, handBackWorkers)
			if passes[p.i].waits {
				f.proveQuiet(ctx, p)
			}
		})
	}
	wg.Wait()
	for i, pass := range passes {
		if pass.err != nil && failed == nil {
			p := f.peers[i]
			failed = fmt.Errorf("failover: owed to %s: %w", f.backlog.count(i).at(p), pass.err)
		}
		waits = waits || pass.waits
	}
	return waits, failed
}

// at says what is owed to p: "redis:12", or "redis:12 (removals:3)".
func (o owing) at(p *peer) string {
	if o.removals == 0 {
		return fmt.Sprintf("%s:%d", p.name, o.writes)
	}
	return fmt.Sprintf("%s:%d (removals:%d)", p.name, o.writes, o.removals)
}

// allOwed says what is owed to whom.
func (f *KV) allOwed() string {
	var all []string
	for _, p := range f.peers {
		if o := f.backlog.count(p.i); o != (owing{}) {
			all = append(all, o.at(p))
		}
	}
	return strings.Join(all, " ")
}
