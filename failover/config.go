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
	// Handoff: the first candidate that takes a write has it, and what another
	// member took in place of the first is handed back to it.
	Handoff Writes = iota
	// Mirror: every member gets every write, side by side. One member has it
	// and every other has it, or the journal has it for them.
	Mirror
	// MirrorStrict: as Mirror, and the intent is durable before it is sent.
	MirrorStrict
	// PrimaryOnly: only the first member is written to.
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

// Config configures a group. The zero value asks for Handoff, which New does
// not offer yet: set Writes to Mirror.
type Config struct {
	// Name of the group in events, errors and Status; "" = "failover".
	Name string
	// Writes is the mode. Only Mirror is built; New refuses the others.
	Writes Writes
	// Journal keeps what members are owed; the group closes it. nil =
	// MemoryJournal(0): what is owed survives the outage, not this process.
	Journal Journal
	// Failback says when the group goes back to a more wanted member.
	Failback Failback
	// Member configures the Stores that New makes of members that are not a
	// *resilient.Store already. Its Observer nil = Observer. Its Name is not
	// used: such a member is called after its backend.
	Member resilient.Config
	// Complete says that every member holds everything from the start, or that
	// something else keeps it so. A miss on any of them is then ErrNotFound;
	// otherwise a miss on any but the first is ErrUncertain.
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
	After    time.Duration // 0 = 5s, negative = at once
	MaxAfter time.Duration // 0 = 5m
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
	case Handoff, MirrorStrict, PrimaryOnly:
		bad("Writes", "%s is not built yet, use Mirror", c.Writes)
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
