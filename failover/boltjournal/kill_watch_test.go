package boltjournal

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// watch knows what a group is doing, from what goes into its journal and its
// members. Both are the real ones: nothing is done for them or differently.
type watch struct {
	changes  atomic.Int32           // calls that the journal has not answered
	w        atomic.Pointer[writer] // of the journal in use
	closing  atomic.Bool
	handing  atomic.Int32 // members' calls that are hand-backs
	clearing atomic.Int32 // journal's calls that forget what was handed back

	mu     sync.Mutex
	direct map[string]int  // keys that are being written, and by how many calls
	handed map[string]bool // keys that have been handed back and not yet forgotten
}

func newWatch() *watch { return &watch{direct: map[string]int{}, handed: map[string]bool{}} }

// committing reports whether a change has been taken into a commit that has not
// ended.
func (w *watch) committing() bool {
	writer := w.w.Load()
	return writer != nil && w.changes.Load() > 0 && writer.queued() == 0
}

// handingBack reports whether a member is getting what it was owed, or its
// record is being forgotten.
func (w *watch) handingBack() bool { return w.handing.Load() > 0 || w.clearing.Load() > 0 }

// writing notes that somebody writes the keys through the group, until end.
func (w *watch) writing(keys []string) (end func()) {
	note := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, key := range keys {
			w.direct[key] += n
		}
	}
	note(1)
	return func() { note(-1) }
}

// watchedJournal is a journal with a watch on it.
type watchedJournal struct {
	failover.Journal
	watch *watch
	hasty bool // a planted bug: Put answers before it has an answer
}

func (j *watchedJournal) Open(names []string) (failover.Recovery, error) {
	r, err := j.Journal.Open(names)
	if err == nil {
		j.watch.w.Store(j.Journal.(*journal).w)
	}
	return r, err
}

func (j *watchedJournal) Put(recs ...failover.Record) error {
	defer j.change(recs)()
	if j.hasty {
		go func() { _ = j.Journal.Put(recs...) }()
		return nil
	}
	return j.Journal.Put(recs...)
}

func (j *watchedJournal) Forget(recs ...failover.Record) error {
	defer j.change(recs)()
	return j.Journal.Forget(recs...)
}

func (j *watchedJournal) Note(name string, fact []byte) error {
	defer j.change(nil)()
	return j.Journal.Note(name, fact)
}

func (j *watchedJournal) change(recs []failover.Record) (end func()) {
	w := j.watch
	clears := int32(0)
	w.mu.Lock()
	for _, r := range recs {
		if w.handed[r.Key] {
			delete(w.handed, r.Key)
			clears = 1
		}
	}
	w.mu.Unlock()
	w.clearing.Add(clears)
	w.changes.Add(1)
	return func() {
		w.changes.Add(-1)
		w.clearing.Add(-clears)
	}
}

// watchedStore is a member with a watch on it. What it is given under a key that
// nobody is writing is a hand-back.
type watchedStore struct {
	kv    resilient.KVWithHealth
	watch *watch
}

var _ resilient.KVWithHealth = (*watchedStore)(nil)

func (s *watchedStore) Unwrap() resilient.KVWithHealth { return s.kv }

func (s *watchedStore) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return s.kv.GetRaw(ctx, key)
}

func (s *watchedStore) SetRaw(ctx context.Context, key string, value []byte) error {
	defer s.given(key)()
	return s.kv.SetRaw(ctx, key, value)
}

func (s *watchedStore) Delete(ctx context.Context, key string) error {
	defer s.given(key)()
	return s.kv.Delete(ctx, key)
}

func (s *watchedStore) List(ctx context.Context, prefix string) ([]string, error) {
	return s.kv.List(ctx, prefix)
}

func (s *watchedStore) Health(ctx context.Context) error { return s.kv.Health(ctx) }
func (s *watchedStore) Close() error                     { return s.kv.Close() }

func (s *watchedStore) given(key string) (end func()) {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.direct[key] > 0 {
		return func() {}
	}
	w.handed[key] = true
	w.handing.Add(1)
	return func() { w.handing.Add(-1) }
}
