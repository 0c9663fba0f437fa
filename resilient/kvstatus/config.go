package kvstatus

import "time"

// Config says what a Page shows. The zero Config is ready for use.
type Config struct {
	// Title heads the page; "" = "Stores".
	Title string
	// WithErrors shows the texts of errors, which drivers make: they can hold
	// addresses, keys and values. Without it an error is shown as its class.
	WithErrors bool
	// Every is how often the live page is brought up to date; 0 = 1s, at least
	// 100ms. A switch and a breaker's change are shown at once.
	Every time.Duration
	// MaxViewers is how many pages may be live at once, each of which holds a
	// connection; 0 = 32, negative = none. One more is refused with 503 and
	// tries again.
	MaxViewers int
	// Events is how many of the last events are kept; 0 = 100, negative =
	// none.
	Events int
}

const (
	// leastEvery keeps a page from being drawn all the time: to draw one takes
	// about a millisecond.
	leastEvery = 100 * time.Millisecond
	// history is how much of the past is shown, in seconds.
	history = 300
	// maxSources bounds how many stores and groups are remembered: of each there
	// are some 75 KB for each of up to four shards.
	maxSources = 64
	// patience is how long an answer waits for a Status. They are read from
	// memory, so one that takes longer hangs, and is not waited for again.
	patience = 50 * time.Millisecond
	// sendWithin is how long a viewer may take to read what it is sent.
	sendWithin = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Title == "" {
		c.Title = "Stores"
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	c.Every = max(c.Every, leastEvery)
	if c.MaxViewers == 0 {
		c.MaxViewers = 32
	}
	if c.Events == 0 {
		c.Events = 100
	}
	c.Events = max(c.Events, 0)
	return c
}
