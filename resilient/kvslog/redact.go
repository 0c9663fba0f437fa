package kvslog

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// harmless are errors whose texts hold no data. Narrower ones stand before
// those that they match too.
var harmless = [...]error{
	resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrInvalidKey, resilient.ErrKeyTooLarge, resilient.ErrValueTooLarge,
	resilient.ErrClosed, resilient.ErrHealthUnknown, resilient.ErrTimeout, resilient.ErrSuperseded, breaker.ErrOpen,
	resilient.ErrBusy, resilient.ErrRefused, resilient.ErrAmbiguous, resilient.ErrUnavailable,
	context.Canceled, context.DeadlineExceeded,
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrDeadlineExceeded, os.ErrPermission, os.ErrNotExist,
}

// Bounds of what is looked at and said of one error.
const (
	maxNodes   = 32
	maxPhrases = 4
)

// redact returns what can be said of err without its text, which may hold
// anything; "" of nil.
func redact(err error) (said string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil { // of a foreign method
			said = reflect.TypeOf(err).String()
		}
	}()
	var r redactor
	r.walk(err)
	return strings.Join(r.phrases, ": ")
}

// redactor collects phrases.
type redactor struct {
	nodes   int
	phrases []string
}

func (r *redactor) say(phrase string) {
	if len(r.phrases) < maxPhrases && !slices.Contains(r.phrases, phrase) {
		r.phrases = append(r.phrases, phrase)
	}
}

// walk says what is known of err or, as far as nothing is, of what it wraps.
func (r *redactor) walk(err error) {
	if err == nil || r.nodes >= maxNodes {
		return
	}
	r.nodes++
	if phrase := own(err); phrase != "" {
		r.say(phrase)
		return
	}
	switch e := err.(type) { //nolint:errorlint // each error of the chain is looked at by itself
	case *net.OpError:
		r.say(netOp(e.Op))
		r.walk(e.Err)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			r.walk(wrapped)
		}
	case interface{ Unwrap() error }:
		r.wrapper(err, e.Unwrap())
	default:
		r.leaf(err)
	}
}

// wrapper walks what err wraps. One that wraps nothing is a leaf.
func (r *redactor) wrapper(err, wrapped error) {
	if wrapped == nil {
		r.leaf(err)
		return
	}
	r.walk(wrapped)
}

// own returns what err itself is known to say; "" if nothing.
func own(err error) string {
	for _, target := range harmless {
		if err == target { //nolint:errorlint // this error, not what it wraps
			return target.Error()
		}
	}
	switch e := err.(type) { //nolint:errorlint // the same
	case *resilient.PanicError, syscall.Errno:
		return err.Error()
	case interface{ SQLState() string }:
		if state := e.SQLState(); isSQLState(state) {
			return "SQLSTATE " + state
		}
	}
	return ""
}

// leaf says what an error that wraps nothing is: a sentinel that it claims to
// match, else its type.
func (r *redactor) leaf(err error) {
	for _, target := range harmless {
		if errors.Is(err, target) {
			r.say(target.Error())
			return
		}
	}
	r.say(reflect.TypeOf(err).String())
}

// isSQLState reports whether s can be an SQLSTATE: five digits or capitals.
func isSQLState(s string) bool {
	return len(s) == 5 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// netOp returns op if it is one of package net's.
func netOp(op string) string {
	switch op {
	case "dial", "read", "write", "close", "accept", "listen", "set":
		return op
	}
	return "net"
}
