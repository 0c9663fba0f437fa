package failover

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
)

// Errors of a group. ErrUncertain matches resilient.ErrUnavailable, ErrReadOnly
// and ErrJournalFull match resilient.ErrRefused.
var (
	// ErrUncertain says that the key is not on a member that may lack it, and
	// that the members which would know are away. It is not "not found": a
	// caller that created the key anew could destroy the real one.
	ErrUncertain error = &sentinel{"failover: the member that would know is away and the others may lack the key " +
		"(in a mirror, Config.Complete from the start, or Rebuild, makes them answer)", resilient.ErrUnavailable}
	// ErrReadOnly refuses a write in mode PrimaryOnly while the first member
	// is away.
	ErrReadOnly error = &sentinel{"failover: read only while the first member is away", resilient.ErrRefused}
	// ErrJournalFull refuses a write that the journal would have no room for,
	// before anything is sent.
	ErrJournalFull error = &sentinel{"failover: journal full", resilient.ErrRefused}
	// ErrOwed is returned by Close if writes were owed and the journal does
	// not outlive the process: they are lost.
	ErrOwed = errors.New("failover: closed while writes were owed")
)

// errNobody is why a call that no member was asked for failed.
var errNobody = errors.New("every member is drained")

type sentinel struct {
	text  string
	wider error
}

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) Unwrap() error { return s.wider }

// Error is a call that no member served. It matches the sentinels of its own
// Class only; what each member said is in Members, most wanted first. It does
// not unwrap to them: one member's refusal must not be taken for the group's.
type Error struct {
	Op      resilient.Op
	Class   resilient.Class
	Members []*resilient.Error
	// reason is a fact about the call as a whole that it also matches: a
	// context's end, ErrUncertain, a journal that failed.
	reason error
}

// Error names the operation, the class and each member's reason.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "failover: %s: %s", e.Op, e.Class)
	if e.reason != nil {
		fmt.Fprintf(&b, ": %v", e.reason)
	}
	for i, m := range e.Members {
		if i == 0 {
			b.WriteString(" (")
		} else {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s: %v", m.Store, m.Class, m.Err)
	}
	if len(e.Members) > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

// Unwrap returns the fact about the call as a whole, if there is one: the end
// of the caller's ctx, ErrUncertain, or the journal's failure.
func (e *Error) Unwrap() error { return e.reason }

// Is reports whether target is a sentinel of e's class.
func (e *Error) Is(target error) bool {
	switch target {
	case resilient.ErrUnavailable:
		return e.Class == resilient.Refused || e.Class == resilient.Failed || e.ambiguous()
	case resilient.ErrRefused:
		return e.Class == resilient.Refused
	case resilient.ErrAmbiguous:
		return e.ambiguous()
	}
	return false
}

// ambiguous: a group gives class Canceled to a write only after it was handed
// to a member.
func (e *Error) ambiguous() bool {
	return e.Op.Writes() && (e.Class == resilient.Failed || e.Class == resilient.Canceled)
}

// memberError returns err as what a member said.
func memberError(op resilient.Op, name string, err error) *resilient.Error {
	var e *resilient.Error
	if errors.As(err, &e) {
		return e
	}
	return &resilient.Error{Op: op, Store: name, Class: resilient.DefaultClassify(err), Err: err}
}

// classOf returns the class that a member's Store gave to err.
func classOf(err error) resilient.Class {
	if err == nil {
		return resilient.OK
	}
	if errors.Is(err, resilient.ErrNotFound) {
		return resilient.Missing
	}
	var e *resilient.Error
	if errors.As(err, &e) {
		return e.Class
	}
	return resilient.DefaultClassify(err)
}

// missed returns err, if it is a miss as one that matches
// Config.Member.NotFound too: whoever looks for that has to find it whether a
// member or the overlay answered.
func (f *KV) missed(err error) error {
	also := f.cfg.Member.NotFound
	if also == nil || !errors.Is(err, resilient.ErrNotFound) || errors.Is(err, also) {
		return err
	}
	return &missing{err, also}
}

// missing is a miss that matches also.
type missing struct{ err, also error }

func (m *missing) Error() string        { return m.err.Error() }
func (m *missing) Unwrap() error        { return m.err }
func (m *missing) Is(target error) bool { return errors.Is(m.also, target) }
