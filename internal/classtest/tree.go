package classtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// unknown is an error of which no classifier knows anything.
type unknown string

func (u unknown) Error() string { return "unknown: " + string(u) }

// layer wraps an error as a foreign package would.
type layer struct {
	text string
	err  error
}

func (l *layer) Error() string { return l.text }
func (l *layer) Unwrap() error { return l.err }

// absent is an error that says of itself whether the key is not there.
type absent bool

func (absent) Error() string    { return "a foreign answer" }
func (a absent) NotFound() bool { return bool(a) }

// common are errors that any store may return.
func common() []error {
	return []error{
		resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrInvalidKey, resilient.ErrKeyTooLarge, resilient.ErrValueTooLarge,
		resilient.ErrClosed, resilient.ErrUnavailable, resilient.ErrRefused, resilient.ErrAmbiguous, resilient.ErrBusy,
		resilient.ErrTimeout, resilient.ErrSuperseded, breaker.ErrOpen, context.Canceled, context.DeadlineExceeded,
		io.EOF, io.ErrUnexpectedEOF, absent(true), absent(false), &resilient.PanicError{Value: io.EOF},
		&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET},
		&net.DNSError{Err: "no such host"}, &fs.PathError{Op: "open", Path: "a", Err: syscall.ENOENT},
		&fs.PathError{Op: "write", Path: "a", Err: syscall.EIO}, os.ErrDeadlineExceeded, os.ErrPermission,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ENOSPC, syscall.EROFS,
	}
}

// node is an error with what is known of how it was made.
type node struct {
	err     error
	unknown bool    // nothing in it is known
	parts   []error // all that it wraps
	plain   bool    // nothing in it says in our words what became of the call
}

// The instructions of a script: the upper three bits of a byte. The lower five
// are the operand.
const (
	pushLeaf = iota
	pushMore
	pushOwn
	pushUnknown
	wrapText
	wrapLayer
	joinTwo
	wrapError
)

// build runs script on a stack, and hands each error that it makes to check,
// with those that it wraps.
func build(script []byte, text string, own []error, check func(made node, of ...node)) {
	leaves := common()
	var stack []node
	for _, b := range script {
		operand := int(b & 0x1f)
		switch op := b >> 5; {
		case op <= pushOwn && len(own) > 0 && (op == pushOwn || op == pushMore):
			i := operand
			if op == pushMore {
				i += 32
			}
			err := own[i%len(own)]
			stack = append(stack, node{err: err})
			check(stack[len(stack)-1])
		case op <= pushOwn:
			err := leaves[operand%len(leaves)]
			stack = append(stack, node{err: err, plain: !errors.Is(err, resilient.ErrUnavailable) && !errors.Is(err, resilient.ErrClosed)})
			check(stack[len(stack)-1])
		case op == pushUnknown || len(stack) == 0:
			stack = append(stack, node{err: unknown(text), unknown: true, plain: true})
			check(stack[len(stack)-1])
		case op == joinTwo && len(stack) > 1:
			a, b := stack[len(stack)-2], stack[len(stack)-1]
			made := node{err: errors.Join(a.err, b.err), unknown: a.unknown && b.unknown, plain: a.plain && b.plain}
			made.parts = slices.Concat(a.parts, b.parts, []error{a.err, b.err})
			if operand%2 == 1 {
				made.err = fmt.Errorf("%w: %s: %w", a.err, text, b.err)
			}
			stack = append(stack[:len(stack)-2], made)
			check(made, a, b)
		default:
			of := stack[len(stack)-1]
			made := of
			made.parts = append(slices.Clone(of.parts), of.err)
			switch op {
			case wrapText:
				made.err = fmt.Errorf("%s: %w", text, of.err)
			case wrapError:
				made = node{parts: made.parts, err: &resilient.Error{Op: resilient.Op(operand % 8), Class: resilient.Class(operand % 7), Attempts: operand % 3, Err: of.err}}
			default:
				made.err = &layer{text, of.err}
			}
			stack[len(stack)-1] = made
			check(made, of)
		}
	}
}
