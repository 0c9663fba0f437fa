package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// closeGrace is how long Close waits for calls that end neither with their ctx
// nor with their store; after that they are left behind.
const closeGrace = 2 * time.Second

// Close stops the hand-back, closes the members, then the journal. Calls under
// way are ended by the closing of their stores. If writes are owed and the
// journal does not outlive the process, Close first hands back for at most
// Config.Member.Timeout, and then returns an error that matches ErrOwed and
// tells a Lost event. Every call of Close returns the same.
func (f *KV) Close() error {
	f.once.Do(func() { f.closed = f.close() })
	return f.closed
}

func (f *KV) close() error {
	f.closing.Store(true)
	var errs []error
	if !f.journal.Durable() {
		errs = append(errs, f.lastChance())
	}
	f.cancel()
	f.route.close()
	for _, p := range f.peers {
		errs = append(errs, closePeer(p))
	}
	clean := f.quiesce()
	errs = append(errs, f.journal.Close(clean))
	return join(errs)
}

// lastChance hands back what would be lost, and says what is.
func (f *KV) lastChance() error {
	if f.backlog.empty() {
		return nil
	}
	var timeout time.Duration
	for _, p := range f.peers {
		timeout = max(timeout, p.m.Timeout(resilient.OpSet))
	}
	ctx := resilient.WithTimeout(context.Background(), max(timeout, time.Second))
	defer ctx.End()
	err := f.flush(ctx)
	if err == nil {
		return nil
	}
	for _, p := range f.peers {
		if o := f.backlog.count(p.i); o != (owing{}) {
			f.tell(ctx, resilient.Event{Kind: resilient.KindLost, Time: time.Now(), Store: p.name, Count: o.writes, Reason: "closed", Err: ErrOwed})
		}
	}
	return fmt.Errorf("%w: to %s", ErrOwed, f.allOwed())
}

func closePeer(p *peer) error {
	err := p.m.Store().Close()
	if p.bare != nil {
		err = join([]error{err, p.bare.Close()})
	}
	if err != nil {
		return fmt.Errorf("failover: close %s: %w", p.name, err)
	}
	return nil
}

// quiesce waits until no write holds its keys' locks and no goroutine of the
// group is left. It reports false if some call would not end.
func (f *KV) quiesce() bool {
	quiet := make(chan struct{})
	go func() {
		for i := range f.overlay.stripes {
			_ = f.overlay.stripes[i].lock(context.Background())
		}
		f.work.Wait()
		close(quiet)
	}()
	select {
	case <-quiet:
		return true
	case <-time.After(closeGrace):
		return false
	}
}
