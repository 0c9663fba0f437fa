package boltjournal

import (
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// The pauses between attempts to make a new file.
const (
	mendPause    = 100 * time.Millisecond
	maxMendPause = 5 * time.Second
)

// poison refuses every change from now on: after a failed write or sync nobody
// knows what the file holds, and a second sync that succeeds proves nothing
// about the first one's pages.
func (w *writer) poison(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.failed = w.j.refused(fmt.Errorf("a write failed and the file is being made anew: %w", cause))
	w.troubledLocked(resilient.JournalRecovering, cause)
	finish(w.mu.queue, w.mu.failed)
	w.mu.queue = nil
}

// mend makes a new file of what is in memory until that has succeeded, and
// lets changes in again. It reports false if Close came first.
func (w *writer) mend() bool {
	for pause := mendPause; ; pause = min(2*pause, maxMendPause) {
		err := w.renew()
		if err == nil {
			w.mu.Lock()
			w.mu.failed, w.mu.trouble = nil, resilient.JournalStatus{}
			w.mu.Unlock()
			return true
		}
		w.troubled(resilient.JournalRecovering, err)
		select {
		case <-time.After(pause):
		case <-w.stop:
			return false
		}
	}
}

// renew puts a new file with what is in memory in the place of the old one.
// After an error the file that is in use is to be replaced again before it is
// written to.
func (w *writer) renew() error {
	c, err := newClaim(w.j.path, max(0, w.j.cfg.LockTimeout))
	if err != nil {
		return err
	}
	f, err := c.replace(w.f.info, w.mu.c, w.j.cfg)
	if f == nil {
		return err
	}
	_ = w.f.close()
	w.f = f
	return err
}

// shrink gives the disk back what a file without records takes.
func (w *writer) shrink() {
	if len(w.mu.c.recs) > 0 {
		return
	}
	info, err := w.f.f.Stat()
	if err != nil || info.Size() < w.shrinkAt {
		return
	}
	before := w.f
	if err := w.renew(); err != nil && w.f != before {
		w.poison(err)
	}
}
