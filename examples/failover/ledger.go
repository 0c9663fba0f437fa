package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// version is what one write makes of its key. The writes of a key are counted
// from 1; version 0 is the key before the first.
type version struct {
	n       int
	deleted bool
}

// value is what the key holds in version v: its own name and the number, so
// that whoever reads it knows which write it came of. nil = nothing.
func (v version) value(key string) []byte {
	if v.deleted {
		return nil
	}
	return []byte(key + "#" + strconv.Itoa(v.n))
}

// record is what is known of one key.
type record struct {
	mu      sync.Mutex // guards all below
	begun   int        // the newest write that was sent
	deleted int        // the newest delete that was sent
	acked   int        // the newest write that was acknowledged
	// may are the versions that the key may have now: the one that was
	// acknowledged last, and those after it whose outcome nobody knows.
	may []version
}

// ledger knows what each key must hold. It can know that exactly because each
// key is written by one client only, one write after the other.
type ledger struct {
	keys    []string
	records map[string]*record // not changed after newLedger
}

func newLedger(keys []string) *ledger {
	l := &ledger{keys: keys, records: map[string]*record{}}
	for _, key := range keys {
		l.records[key] = &record{may: []version{{deleted: true}}}
	}
	return l
}

// begin notes that a write of key is about to be sent.
func (l *ledger) begin(key string, deletes bool) version {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	if deletes {
		r.deleted = r.begun
	}
	return version{r.begun, deletes}
}

// end notes how the write of v ended: acknowledged, refused, which changed
// nothing, or one that may or may not have been applied.
func (l *ledger) end(key string, v version, err error) {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.acked, r.may = v.n, []version{v}
	case !errors.Is(err, resilient.ErrRefused):
		r.may = append(r.may, v)
	}
}

// acked returns the newest acknowledged write of key: a read that begins now
// must see that or a later one.
func (l *ledger) acked(key string) int {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// own says what is wrong with value as the present one of key; its client asks,
// while no write of its own is under way.
func (l *ledger) own(key string, value []byte) error {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.may {
		if v.deleted == (value == nil) && string(value) == string(v.value(key)) {
			return nil
		}
	}
	return fmt.Errorf("%s holds %s, not version %v", key, show(value), r.may)
}

// listed says what is wrong with key being in a list of its client's, or not.
func (l *ledger) listed(key string, there bool) error {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.may {
		if v.deleted != there {
			return nil
		}
	}
	return fmt.Errorf("%s is listed: %t, at version %v", key, there, r.may)
}

// foreign says what is wrong with value as read by another client, which saw
// acked as the newest acknowledged write when its read began. Writes go on
// meanwhile: any later version will do.
func (l *ledger) foreign(key string, acked int, value []byte) error {
	r := l.records[key]
	r.mu.Lock()
	defer r.mu.Unlock()
	if value == nil {
		if r.deleted < acked {
			return fmt.Errorf("%s holds nothing, and its last delete was before version %d", key, acked)
		}
		return nil
	}
	name, number, _ := strings.Cut(string(value), "#")
	n, err := strconv.Atoi(number)
	if err != nil || name != key || n < acked || n > r.begun {
		return fmt.Errorf("%s holds %s, not one of its versions %d to %d", key, show(value), acked, r.begun)
	}
	return nil
}

// everAcked returns how many keys have an acknowledged write.
func (l *ledger) everAcked() (n int) {
	for _, key := range l.keys {
		if l.acked(key) > 0 {
			n++
		}
	}
	return n
}

func show(value []byte) string {
	if value == nil {
		return "nothing"
	}
	return strconv.Quote(string(value))
}

// String returns "7", or "7 (deleted)".
func (v version) String() string {
	if v.deleted {
		return strconv.Itoa(v.n) + " (deleted)"
	}
	return strconv.Itoa(v.n)
}
