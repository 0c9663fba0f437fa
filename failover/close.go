package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// closeGrace is how long Close waits for calls that end neither with their ctx
// nor with their store; after that they are left behind.
const closeGrace = 2 * time.Second

// Close refuses new calls, waits for the writes under way, at most as long as
// the longest Timeout of its members (1 s if none has one), stops the hand-back,
// closes the members one after the other, which ends what calls are left, and
// then the journal. If writes are owed and the journal does not outlive the
// process, Close first hands back for at most that long again; what is then
// still owed is an error that matches ErrOwed, and a Lost event for each member.
// Calls that do not end with their store are left behind after 2 s. Every call of
// Close returns the same, but nil at once if it is made from inside a breaker's
// OnChange, as events of changes and switches are told, while another one is
// under way.
func (f *KV) Close() error {
	if f.closing.Swap(true) {
		return awaitClosed(f.ended, &f.closed)
	}
	defer close(f.ended)
	f.closed = f.close()
	return f.closed
}

// awaitClosed waits for the Close that is under way, unless that may wait for
// the caller, and returns what it does.
func awaitClosed(ended <-chan struct{}, err *error) error {
	if breaker.InOnChange() {
		select {
		case <-ended:
		default:
			return nil
		}
	}
	<-ended
	return *err
}

func (f *KV) close() error {
	f.awaitWrites()
	if !f.journal.Durable() {
		f.lastChance()
	}
	f.cancel()
	f.route.close()
	var errs []error
	for _, p := range f.peers {
		errs = append(errs, closePeer(p))
	}
	clean := f.quiesce()
	if !f.journal.Durable() {
		errs = append(errs, f.lost())
	}
	return join(append(errs, f.journal.Close(clean)))
}

// longest is the longest Timeout of a member, and a second where none has one.
func (f *KV) longest() time.Duration {
	d := time.Duration(0)
	for _, p := range f.peers {
		d = max(d, p.m.Timeout(resilient.OpSet))
	}
	if d == 0 {
		return time.Second
	}
	return d
}

// awaitWrites waits until no write that has begun holds its key's lock, or is
// one of PrimaryOnly, which holds none.
func (f *KV) awaitWrites() {
	ctx := resilient.WithTimeout(context.Background(), f.longest()+answerSlack)
	defer ctx.End()
	select {
	case <-f.unlocked.shut():
	case <-ctx.Done():
		return
	}
	for i := range f.overlay.stripes {
		s := &f.overlay.stripes[i]
		if s.lock(ctx) != nil {
			return
		}
		s.unlock()
	}
}

// lastChance hands back what would be lost.
func (f *KV) lastChance() {
	ctx := resilient.WithTimeout(context.Background(), f.longest())
	defer ctx.End()
	_ = f.flush(ctx) // lost tells what that could not do
}

// lost tells what members are owed and will not get.
func (f *KV) lost() error {
	if f.backlog.empty() {
		return nil
	}
	for _, p := range f.peers {
		if o := f.backlog.count(p.i); o != (owing{}) {
			f.tell(context.Background(), resilient.Event{
				Kind: resilient.KindLost, Time: time.Now(), Store: p.name, Count: o.writes, Reason: "closed", Err: ErrOwed,
			})
		}
	}
	return fmt.Errorf("%w: to %s", ErrOwed, f.allOwed())
}

func closePeer(p *peer) error {
	err := p.m.Store().Close()
	if p.bare != nil {
		err = join([]error{err, closeContained(p.bare)})
	}
	if err != nil {
		return fmt.Errorf("failover: close %s: %w", p.name, err)
	}
	return nil
}

// closeContained closes kv and turns a panic of its Close into an error.
func closeContained(kv resilient.KV) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &resilient.PanicError{Value: v}
		}
	}()
	return kv.Close()
}

// quiesce waits until no write holds its keys' locks and no goroutine of the
// group is left. It reports false if some call would not end.
func (f *KV) quiesce() bool {
	quiet := make(chan struct{})
	go func() {
		for i := range f.overlay.stripes {
			f.overlay.stripes[i].key <- struct{}{}
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
