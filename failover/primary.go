package failover

import (
	"context"
	"errors"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// writeToFirst makes a write in mode PrimaryOnly: the first member has it, or
// nobody. Nothing is owed, and an ambiguous one is not rolled forward.
func (f *KV) writeToFirst(ctx context.Context, op resilient.Op, send func(context.Context, *peer) error) outcome {
	if !f.unlocked.enter() {
		return outcome{err: &Error{Op: op, Class: resilient.Refused, reason: resilient.ErrClosed}}
	}
	defer f.unlocked.leave()
	p := f.peers[0]
	if !f.writable() {
		return outcome{err: &Error{Op: op, Class: resilient.Refused, reason: ErrReadOnly}}
	}
	err := send(ctx, p)
	deletes := op == resilient.OpDelete || op == resilient.OpBatchDelete
	switch class := classOf(err); {
	case err == nil, class == resilient.Missing && deletes:
		return outcome{served: p}
	case class == resilient.Invalid:
		return outcome{served: p, err: err}
	case ctx.Err() != nil && !errors.Is(err, resilient.ErrAmbiguous):
		return outcome{err: ctx.Err()} // nothing was sent, or it was refused
	case ctx.Err() != nil:
		return outcome{err: f.canceled(ctx, op, []*resilient.Error{memberError(op, p.name, err)})}
	}
	f.doubt(p, err)
	e := &Error{Op: op, Class: resilient.Failed, Members: []*resilient.Error{memberError(op, p.name, err)}}
	switch class := classOf(err); {
	case !refused(err):
	case errors.Is(err, resilient.ErrBusy):
		e.Class, e.reason = resilient.Refused, resilient.ErrBusy
	case class == resilient.Conflict: // by a member that is there
		e.Class = resilient.Refused
	default:
		e.Class, e.reason = resilient.Refused, ErrReadOnly
	}
	return outcome{err: e}
}

// writable reports whether the first member may take a write.
func (f *KV) writable() bool {
	p := f.peers[0]
	return !p.drained.Load() && p.m.Store().State() != breaker.Open
}
