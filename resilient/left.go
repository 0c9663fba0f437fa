package resilient

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Left returns, for the error of a call that Detach left behind, a channel that
// is closed when that call has ended; nil for any other error. Until then a
// write may still be applied.
func Left(err error) <-chan struct{} {
	if l, ok := errors.AsType[*leftError](err); ok {
		return l.done
	}
	return nil
}

// leftError is the error of a call that its caller has left. A write that was
// left matches ErrAmbiguous.
type leftError struct {
	op   Op
	err  error // why it was left
	done <-chan struct{}
}

func (l *leftError) Error() string { return l.err.Error() }
func (l *leftError) Unwrap() error { return l.err }

func (l *leftError) Is(target error) bool {
	return l.op.Writes() && (target == ErrAmbiguous || target == ErrUnavailable)
}

// lane holds the places of the calls that are under way at a detached store.
type lane struct {
	places  chan struct{} // an item for each call that has not ended
	closing chan struct{} // closed when the store is about to be closed
	closed  chan struct{} // closed when it has been

	mu   sync.Mutex // guards what is below, and left and over of each place
	left int
	full chan struct{} // closed while every place is held by a call left behind
}

// place is one call's.
type place struct {
	done chan struct{} // closed when the call has ended
	err  error         // read after done
	left bool          // by its caller
	over bool
}

func (l *lane) init(limit int) {
	l.places = make(chan struct{}, limit)
	l.closing, l.closed, l.full = make(chan struct{}), make(chan struct{}), make(chan struct{})
}

// enter takes a place. It waits for one while callers wait for theirs, but not
// while all of them have left.
func (l *lane) enter(ctx context.Context) error {
	select {
	case l.places <- struct{}{}:
		return nil
	default:
	}
	l.mu.Lock()
	full := l.full
	l.mu.Unlock()
	select {
	case l.places <- struct{}{}:
		return nil
	case <-full:
		return ErrBusy
	case <-l.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ctx.Err(), ErrRefused)
	}
}

// wait waits for the end of p's call. A call that has ended is never left.
func (l *lane) wait(ctx context.Context, p *place) (why error) {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		why = ctx.Err()
	case <-l.closed:
		why = ErrClosed
	}
	l.mu.Lock()
	if !p.over {
		p.left = true
		l.left++
		if l.left == cap(l.places) {
			close(l.full)
		}
		l.mu.Unlock()
		return why
	}
	l.mu.Unlock()
	<-p.done
	return nil
}

// exit gives p back, whoever is still there.
func (l *lane) exit(p *place) {
	l.mu.Lock()
	p.over = true
	if p.left {
		if l.left == cap(l.places) {
			l.full = make(chan struct{})
		}
		l.left--
	}
	l.mu.Unlock()
	<-l.places
	close(p.done)
}

func (l *lane) leftBehind() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left
}
