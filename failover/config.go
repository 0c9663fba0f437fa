package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Writes says when a write is acknowledged and what the members are.
type Writes uint8

// The modes of writing.
const (
	// Handoff: the first member holds everything. While it is away the next
	// one takes its writes in its place: these are owed to the first, handed
	// back to it, and then removed from the other. Reads of other keys fail
	// meanwhile, with ErrUncertain.
	Handoff Writes = iota
	// Mirror: every member gets every write, side by side. A write is
	// acknowledged when one member has it and every other has it, or is owed
	// it. For members that are full copies of each other.
	Mirror
	// MirrorStrict: as Mirror, and the intent is durable before anything is
	// sent: not even a value that was seen but never acknowledged is un-seen by
	// a crash. Needs a durable Journal.
	MirrorStrict
	// PrimaryOnly: only the first member is written to; while it is away writes
	// are refused at once with ErrReadOnly. The others are replicas, or filled by
	// something else: what they answer may be old, and is marked Degraded.
	PrimaryOnly
)

var writesNames = [...]string{"handoff", "mirror", "mirror-strict", "primary-only"}

// String returns "handoff", "mirror", "mirror-strict" or "primary-only".
func (w Writes) String() string {
	if int(w) < len(writesNames) {
		return writesNames[w]
	}
	return "unknown"
}

// Config configures a group. The zero value makes one whose first member holds
// everything and whose others stand in for it (Handoff).
type Config struct {
	// Name of the group in events, errors and Status; "" = "failover".
	Name string
	// Writes is the mode; 0 = Handoff.
	Writes Writes
	// Journal keeps what members are owed; the group closes it. nil =
	// MemoryJournal(0): what is owed survives the outage, not this process.
	Journal Journal
	// Failback says when the group goes back to a more wanted member.
	Failback Failback
	// Member configures the Stores that New makes of members that are not a
	// *resilient.Store already. Its Observer nil = Observer. Its Name is not
	// used: such a member is called after its backend. Its NotFound is matched
	// by every miss of the group, whatever the members are.
	Member resilient.Config
	// Complete says that every member holds everything from the start, or that
	// something else keeps it so. A miss on any of them is then ErrNotFound;
	// otherwise a miss on any but the first is ErrUncertain until Rebuild has
	// filled it. With Handoff it is an error. In Mirror with a durable Journal it
	// holds until a process dies, or its Close cuts a write short: from the next
	// New on it is as if it had been left out, until Rebuild.
	Complete bool
	// Straggle is how much longer than the active member a Mirror write waits
	// for the others before they are owed; 0 = 20ms, negative = not at all.
	Straggle time.Duration
	// Observer is told Done, Switch, Owed, HandedBack and Lost events of the
	// group; nil = nobody.
	Observer resilient.Observer
}

// Failback says when a member that was away is wanted again: once its breaker
// has been closed for After. Every relapse doubles that, up to MaxAfter, and
// ten clean minutes take one doubling back.
type Failback struct {
	After    time.Duration // 0 = 5s, or MaxAfter if that is less; negative = at once
	MaxAfter time.Duration // 0 = 5m, or After if that is more
	Manual   bool          // only KV.Failback goes back
}

const (
	defaultName     = "failover"
	defaultStraggle = 20 * time.Millisecond
	defaultAfter    = 5 * time.Second
	defaultMaxAfter = 5 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Journal == nil {
		c.Journal = MemoryJournal(0)
	}
	if c.Straggle == 0 {
		c.Straggle = defaultStraggle
	}
	if c.Failback.After == 0 {
		c.Failback.After = defaultAfter
		if most := c.Failback.MaxAfter; most > 0 {
			c.Failback.After = min(defaultAfter, most)
		}
	}
	if c.Failback.MaxAfter == 0 {
		c.Failback.MaxAfter = max(defaultMaxAfter, c.Failback.After)
	}
	if c.Member.Observer == nil {
		c.Member.Observer = c.Observer
	}
	return c
}

// faults returns everything that is wrong with c.
func (c Config) faults() []error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("failover: Config.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	switch c.Writes {
	case Mirror:
	case Handoff:
		if c.Complete {
			bad("Complete", "with %s only the first member holds everything; set Writes to Mirror, or leave Complete out", c.Writes)
		}
	case MirrorStrict:
		if c.Journal == nil || !c.Journal.Durable() {
			bad("Journal", "%s needs a journal that outlives the process", c.Writes)
		}
	case PrimaryOnly:
		if c.Journal != nil {
			bad("Journal", "%s owes nothing to anybody and needs none", c.Writes)
		}
	default:
		bad("Writes", "%d is no mode", c.Writes)
	}
	if c.Failback.MaxAfter < 0 {
		bad("Failback.MaxAfter", "%v is negative", c.Failback.MaxAfter)
	} else if c.Failback.MaxAfter > 0 && c.Failback.MaxAfter < c.Failback.After {
		bad("Failback.MaxAfter", "%v is shorter than After, %v", c.Failback.MaxAfter, c.Failback.After)
	}
	if c.Failback.Manual && c.Failback.After != 0 {
		bad("Failback.After", "%v has no meaning with Manual", c.Failback.After)
	}
	return errs
}

// join makes one error of all faults, nil of none.
func join(errs []error) error { return errors.Join(errs...) }
