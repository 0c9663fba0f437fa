package boltjournal

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// journal is one file's records. It keeps them in memory as well: from there a
// new file is made when the old one has failed.
type journal struct {
	path string
	cfg  Config

	mu       sync.Mutex // guards all below
	left     *left      // until Open
	w        *writer    // from Open to Close
	reserved struct {
		keys  int
		bytes int64
	}
	refusal struct { // the latest for want of room
		keys  int
		bytes int64
		since time.Time // since when there has been none; zero = there is room
	}
	closed bool

	once     sync.Once
	closeErr error // what Close returns, once it has run
}

// Open claims the journal in the file at path and reads it; nothing is written
// before a group opens it in turn, and it is made if it is not there. It
// refuses symbolic links, directories and every other file that is not a
// journal, one that a later version has written, and a damaged one with an
// error that matches ErrDamaged. It fails within Config.LockTimeout while
// somebody else has the journal open. All errors name the file.
//
// The group that is given the journal closes it; where failover.New fails, its
// caller may, whoever has closed it before. Its methods are safe for concurrent
// use. The values of records are not copied: as with any Journal
// they must not change while the journal has them.
func Open(path string, cfg Config) (failover.Journal, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l, err := takeLeft(path, cfg)
	if err != nil {
		return nil, cannot("open", path, err)
	}
	return &journal{path: path, cfg: cfg, left: l}, nil
}

// cannot says what could not be done to which file.
func cannot(do, path string, err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w (%s: restore the file, or move it away and give up what was owed)", err, path)
	}
	return fmt.Errorf("boltjournal: cannot %s %s: %w", do, path, err)
}

// refused wraps an error after which certainly nothing was changed.
func (j *journal) refused(err error) error {
	return fmt.Errorf("boltjournal: %w: %s: %w", resilient.ErrRefused, j.path, err)
}

// Open hands out what an earlier process left, oldest first. It writes the
// file anew, which needs room for all records once more. If it fails, the
// journal is closed.
func (j *journal) Open(names []string) (failover.Recovery, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return failover.Recovery{}, j.refused(resilient.ErrClosed)
	case j.left == nil:
		return failover.Recovery{}, j.refused(errors.New("it belongs to another group"))
	}
	l := j.left
	j.left = nil
	had := l.had
	now, err := had.renamed(names)
	var f *file
	if err == nil {
		if f, err = l.replace(now, j.cfg); err != nil && f != nil {
			_ = f.close()
		}
	}
	l.release()
	if err != nil {
		j.closed = true
		return failover.Recovery{}, cannot("open", j.path, err)
	}
	j.w = newWriter(j, f, now)
	return recovery(now, had.clean), nil
}

// recovery is what c holds, as a group wants it.
func recovery(c *contents, clean bool) failover.Recovery {
	r := failover.Recovery{Notes: map[string][]byte{}, Clean: clean}
	for _, it := range c.oldestFirst() {
		r.Records = append(r.Records, it.rec)
	}
	for name, n := range c.notes {
		r.Notes[name] = bytes.Clone(n.fact)
	}
	return r
}

// Durable reports true.
func (j *journal) Durable() bool { return true }

// Reserve makes room for records, within Config.MaxKeys and MaxBytes. What
// needs no room is never refused for want of it.
func (j *journal) Reserve(keys int, bytes int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	w, err := j.writerLocked()
	if err != nil {
		return err
	}
	if !j.fitsLocked(w, keys, bytes) {
		if j.couldFit(keys, bytes) {
			j.noteRefusalLocked(keys, bytes)
		}
		return failover.ErrJournalFull
	}
	j.reserved.keys += keys
	j.reserved.bytes += bytes
	return nil
}

func (j *journal) fitsLocked(w *writer, keys int, bytes int64) bool {
	haveKeys, haveBytes := w.size()
	return (j.cfg.MaxKeys < 0 || keys <= 0 || haveKeys+j.reserved.keys+keys <= j.cfg.MaxKeys) &&
		(j.cfg.MaxBytes < 0 || bytes <= 0 || haveBytes+j.reserved.bytes+bytes <= j.cfg.MaxBytes)
}

// couldFit reports whether an empty journal would have room. That it has not
// says nothing of other writes.
func (j *journal) couldFit(keys int, bytes int64) bool {
	return (j.cfg.MaxKeys < 0 || keys <= j.cfg.MaxKeys) && (j.cfg.MaxBytes < 0 || bytes <= j.cfg.MaxBytes)
}

func (j *journal) noteRefusalLocked(keys int, bytes int64) {
	if j.refusal.since.IsZero() {
		j.refusal.since = time.Now()
	}
	j.refusal.keys, j.refusal.bytes = keys, bytes
}

// madeRoomLocked forgets what was refused last if it would not be refused now:
// that it is again, later, is for another refusal to say.
func (j *journal) madeRoomLocked(w *writer) {
	if j.fitsLocked(w, j.refusal.keys, j.refusal.bytes) {
		j.refusal.since = time.Time{}
	}
}

// changed is told that the records are others now.
func (j *journal) changed(w *writer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.madeRoomLocked(w)
}

// Status says what keeps the journal from taking records. It waits for no disk.
func (j *journal) Status() resilient.JournalStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	w, err := j.writerLocked()
	if err != nil {
		return resilient.JournalStatus{}
	}
	st := w.status()
	if st.State == "" && !j.refusal.since.IsZero() {
		st = resilient.JournalStatus{State: resilient.JournalFull, Since: j.refusal.since}
	}
	return st
}

// Release gives room back.
func (j *journal) Release(keys int, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reserved.keys -= keys
	j.reserved.bytes -= bytes
	if j.w != nil {
		j.madeRoomLocked(j.w)
	}
}

// writerLocked returns the writer while there is one.
func (j *journal) writerLocked() (*writer, error) {
	switch {
	case j.closed:
		return nil, j.refused(resilient.ErrClosed)
	case j.w == nil:
		return nil, j.refused(errors.New("no group has opened it"))
	}
	return j.w, nil
}

// Put replaces records. An error that matches resilient.ErrRefused says that
// certainly nothing was changed: the disk is full, the journal is closed, or it
// is being written anew after a failure. After any other error the records may
// be durable or not.
func (j *journal) Put(recs ...failover.Record) error {
	for _, r := range recs {
		if err := checkSize(r); err != nil {
			return j.refused(err)
		}
	}
	return j.change(&change{put: recs})
}

// Forget removes the records of the given keys whose Seq is not greater than
// the one given: after a Put that failed, the record of a key may be the one
// before. Errors are as those of Put.
func (j *journal) Forget(recs ...failover.Record) error { return j.change(&change{forget: recs}) }

// Note keeps a copy of fact. Errors are as those of Put.
func (j *journal) Note(name string, fact []byte) error {
	if err := checkSize(failover.Record{Key: name, Value: fact}); err != nil {
		return j.refused(err)
	}
	return j.change(&change{name: name, fact: bytes.Clone(fact), noted: true})
}

func (j *journal) change(c *change) error {
	if len(c.put)+len(c.forget) == 0 && !c.noted {
		return nil
	}
	j.mu.Lock()
	w, err := j.writerLocked()
	j.mu.Unlock()
	if err != nil {
		return err
	}
	c.done = make(chan error, 1)
	if err := w.add(c); err != nil {
		return err
	}
	return <-c.done
}

// Size returns what the records take that a Put or Forget has made so.
func (j *journal) Size() (keys int, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.w == nil {
		return 0, 0
	}
	return j.w.size()
}

// Close ends the journal's use; what has not been taken into a commit is
// refused. clean goes into the file. A second Close does nothing and returns
// what the first did.
func (j *journal) Close(clean bool) error {
	j.once.Do(func() {
		j.mu.Lock() // not while the disk is waited for: Status goes on
		l, w, gone := j.left, j.w, j.closed
		j.left, j.closed = nil, true
		j.mu.Unlock()
		if l != nil {
			l.release() // as it was found
		}
		if w == nil || gone {
			return
		}
		if err := w.close(clean); err != nil {
			j.closeErr = cannot("close", j.path, err)
		}
	})
	return j.closeErr
}
