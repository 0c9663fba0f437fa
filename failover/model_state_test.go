package failover_test

import "fmt"

// The two members: the first is the most wanted one.
const (
	firstMember  = 0
	secondMember = 1
	bothMembers  = 1<<firstMember | 1<<secondMember // as a set, bit i is member i
)

// The values that the key can have. Every write has one of its own, so a value
// also names the version.
const (
	noValue  = 0
	oldValue = 3 // what the key is at the start; W1 and W2 write 1 and 2
)

// modelState is everything at one moment: the world, the process, its clients,
// and what they have been told. Two equal ones have the same future.
type modelState struct {
	member  [2]modelMember
	entry   modelEntry
	disk    modelRecord // the key's record in a durable journal
	lazy    bool        // the record is to be brought up to date, at any later time
	lock    uint8       // who holds the key's lock: 0 nobody, else a client's number + 1
	client  [modelClients]modelClient
	carrier modelCarrier

	downs, losses, crashes uint8 // faults that are still to come

	crashed bool
	newest  uint8  // newest version that was not refused
	loose   uint8  // values that a crash now would let the key have; a set
	told    uint32 // what the clients know: a state of the modelSpec
}

// modelMember is a store.
type modelMember struct {
	value  uint8
	down   bool  // refuses all calls
	zombie uint8 // 1 + the value of an abandoned call that can still apply; 0 none
	taint  bool  // the process reckons with a zombie
	left   bool  // the zombie is a call that was not waited for and that will answer
	late   uint8 // 1 + the value that such a call has applied; its OK is under way
	proof  bool  // that OK proves that the member has the value
}

// modelVersion is what the overlay, or a record, has of the key.
type modelVersion struct {
	known bool  // there is an entry
	value uint8 // of the newest version; noValue is a tombstone
	owed  uint8 // who is not known to have it; a set
	clean bool  // Handoff: the second may have a copy, which is to be removed
}

// modelEntry is the key's place in the overlay.
type modelEntry struct {
	modelVersion
	writing bool // a write is under way
	decided bool // and it can no longer be taken back
	prev    modelVersion
}

// modelRecord is what a crash leaves of modelVersion.
type modelRecord struct {
	modelVersion
	intent bool // the version was about to be sent: roll it forward
}

// modelClient is one client, which makes one call.
type modelClient struct {
	at     uint8    // where in its call it is
	target uint8    // read: the member that is asked
	tried  uint8    // read: the members that have been asked; a set
	call   [2]uint8 // write: what has become of each member's call
	dirty  uint8    // write: the members that were tainted when it was sent; a set
	then   uint8    // write: the members that come later, if at all; a set
}

// Where a client is.
const (
	clientIdle = iota
	clientLooking
	clientAsking
	clientWriting
	clientDone
)

// What has become of a member's call.
const (
	callUnsent = iota
	callSent
	callApplied
	callOK
	callRefused
	callUnsure
)

// modelCarrier is a hand-back or a removal that goes on without the key's
// lock, as only mutants do.
type modelCarrier struct {
	at     uint8 // clientIdle, callSent or callApplied
	member uint8
	value  uint8
	clean  bool // it is a removal
}

// recorded is what the journal has to keep of v.
func (v modelVersion) recorded() modelRecord {
	if v.owed == 0 && !v.clean {
		return modelRecord{}
	}
	return modelRecord{modelVersion: v}
}

// settled is v, or nothing if nobody is owed anything.
func (v modelVersion) settled() modelVersion {
	switch {
	case v.owed != 0:
		return v
	case v.clean:
		return modelVersion{known: true, clean: true}
	}
	return modelVersion{}
}

// tainted is the set of members at which an earlier call can still apply, as
// far as the process knows.
func (s *modelState) tainted() (set uint8) {
	for b, m := range s.member {
		if m.taint || m.left {
			set |= 1 << b
		}
	}
	return set
}

// quiet reports whether nothing is owed, under way or still to apply.
func (s *modelState) quiet() bool {
	if s.entry.known || s.lock != 0 || s.carrier.at != 0 {
		return false
	}
	for _, m := range s.member {
		if m.taint || m.left || m.zombie != 0 || m.late != 0 {
			return false
		}
	}
	return true
}

// modelStep is one step: the state after it, and what it was.
type modelStep struct {
	to   modelState
	what modelEvent
}

// modelEvent says what happened, for traces.
type modelEvent struct {
	client int8 // -1 if it was no client
	text   string
	member int8   // -1 if it has none
	value  int8   // -1 if it has none
	but    string // what went wrong; "" = nothing
}

func (e modelEvent) in(m *model) string {
	who := "--"
	if e.client >= 0 {
		who = m.ops[e.client].name
		for i := range int(e.client) {
			if m.ops[i] == m.ops[e.client] {
				who += "'" // the second reader is R'
			}
		}
	}
	s := fmt.Sprintf("%-4s%s", who, e.text)
	if e.value >= 0 {
		s += " " + []string{"nothing", "1", "2", "old"}[e.value]
	}
	if e.member >= 0 {
		s += " at the " + []string{"first", "second"}[e.member]
	}
	if e.but != "" {
		s += ", but " + e.but
	}
	return s
}
