package failover_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// disk is what a durable journal has kept: it outlives the groups of a test. It
// knows members by name, as the contract wants.
type disk struct {
	mu    sync.Mutex // guards all below
	recs  map[string]diskRecord
	notes map[string][]byte
	dirty bool                         // opened, and not closed cleanly since
	log   *writeLog                    // gets a line per change; nil = nobody
	fault func(line string) diskFailed // asked before each change; nil = all is well
}

// diskRecord is a record whose members are named.
type diskRecord struct {
	failover.Record
	owed, remove []string
}

// diskFailed is how a change fails: with err, unless that is nil, kept or not.
type diskFailed struct {
	err  error
	kept bool
}

func newDisk() *disk { return &disk{recs: map[string]diskRecord{}, notes: map[string][]byte{}} }

// record returns what is kept of key, as a line of the log has it; "" = nothing.
func (d *disk) record(key string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.recs[key]; ok {
		return r.String()
	}
	return ""
}

// seq returns the number of the record of key.
func (d *disk) seq(key string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.recs[key].Seq
}

// noted returns the names of what is noted, but for that of the mode.
func (d *disk) noted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := slices.Sorted(maps.Keys(d.notes))
	return slices.DeleteFunc(names, func(name string) bool { return name == "strict" })
}

// fails sets what fails from now on; nil = nothing.
func (d *disk) fails(fault func(line string) diskFailed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// failing is a fault of the changes whose line starts with prefix.
func failing(prefix string, err error, kept bool) func(string) diskFailed {
	return func(line string) diskFailed {
		if strings.HasPrefix(line, prefix) {
			return diskFailed{err, kept}
		}
		return diskFailed{}
	}
}

// clean reports whether the last process has closed its journal cleanly.
func (d *disk) clean() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.dirty
}

func (r diskRecord) String() string {
	var b strings.Builder
	b.WriteString(r.Key)
	switch {
	case len(r.owed) == 0:
	case r.Delete:
		b.WriteString(" deleted")
	default:
		fmt.Fprintf(&b, "=%s", r.Value)
	}
	if len(r.owed) > 0 {
		b.WriteString(" owed:" + strings.Join(r.owed, ","))
	}
	if len(r.remove) > 0 {
		b.WriteString(" remove:" + strings.Join(r.remove, ","))
	}
	if r.Intent {
		b.WriteString(" intent")
	}
	return b.String()
}

// diskJournal is one process's handle on a disk.
type diskJournal struct {
	d     *disk
	names []string
	dead  bool // guarded by d.mu
}

// die ends the process: nothing reaches the disk any more.
func (j *diskJournal) die() {
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	j.dead = true
}

func (j *diskJournal) Open(names []string) (failover.Recovery, error) {
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	left := failover.Recovery{Notes: maps.Clone(j.d.notes), Clean: !j.d.dirty}
	bits := func(of []string) (set failover.Members, err error) {
		for _, name := range of {
			i := slices.Index(names, name)
			if i < 0 {
				return 0, fmt.Errorf("journal: something is owed to %s, which is no member", name)
			}
			set |= 1 << i
		}
		return set, nil
	}
	for _, key := range slices.Sorted(maps.Keys(j.d.recs)) {
		r := j.d.recs[key]
		var err error
		if r.Owed, err = bits(r.owed); err != nil {
			return failover.Recovery{}, err
		}
		if r.Remove, err = bits(r.remove); err != nil {
			return failover.Recovery{}, err
		}
		left.Records = append(left.Records, r.Record)
	}
	j.names, j.d.dirty = names, true
	return left, nil
}

func (j *diskJournal) Durable() bool                        { return true }
func (j *diskJournal) Reserve(int, int64) error             { return nil }
func (j *diskJournal) Release(int, int64)                   {}
func (j *diskJournal) Status() (st resilient.JournalStatus) { return st }
func (j *diskJournal) Size() (int, int64)                   { return len(j.d.recs), 0 }

func (j *diskJournal) named(set failover.Members) (names []string) {
	for i, name := range j.names {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// write makes one change, of which line tells.
func (j *diskJournal) write(line string, change func()) error {
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	if j.dead {
		return errSimDead
	}
	var failed diskFailed
	if j.d.fault != nil {
		failed = j.d.fault(line)
	}
	if j.d.log != nil {
		j.d.log.add("%s", line)
	}
	if failed.err == nil || failed.kept {
		change()
	}
	return failed.err
}

func (j *diskJournal) Put(recs ...failover.Record) error {
	kept, lines := make([]diskRecord, len(recs)), make([]string, len(recs))
	for i, r := range recs {
		r.Value = slices.Clone(r.Value)
		kept[i] = diskRecord{r, j.named(r.Owed), j.named(r.Remove)}
		lines[i] = kept[i].String()
	}
	return j.write("put "+strings.Join(lines, "; "), func() {
		for _, r := range kept {
			if r.Empty() {
				delete(j.d.recs, r.Key)
			} else {
				j.d.recs[r.Key] = r
			}
		}
	})
}

func (j *diskJournal) Forget(recs ...failover.Record) error {
	keys := make([]string, len(recs))
	for i, r := range recs {
		keys[i] = r.Key
	}
	return j.write("forget "+strings.Join(keys, "; "), func() {
		for _, r := range recs {
			if j.d.recs[r.Key].Seq <= r.Seq {
				delete(j.d.recs, r.Key)
			}
		}
	})
}

func (j *diskJournal) Note(name string, fact []byte) error {
	return j.write("note "+name, func() {
		if fact == nil {
			delete(j.d.notes, name)
			return
		}
		j.d.notes[name] = fact
	})
}

func (j *diskJournal) Close(clean bool) error {
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	if !j.dead {
		j.d.dirty = !clean
	}
	return nil
}

// telling returns kv with its writes noted in l, each line with name before it.
func (l *writeLog) telling(name string, kv resilient.KVWithHealth) *hooked {
	h := l.logged(kv, 0)
	set, del := kv.SetRaw, kv.Delete
	h.set = func(ctx context.Context, key string, value []byte) error {
		l.add("%s set %s %s", name, key, value)
		return set(ctx, key, value)
	}
	h.del = func(ctx context.Context, key string) error {
		l.add("%s delete %s", name, key)
		return del(ctx, key)
	}
	return h
}

// inDiskRig is inRig on a disk; the journal and all members tell l what they
// are asked to write.
func inDiskRig(t *testing.T, n int, change func(*failover.Config), test func(r *rig, d *disk, l *writeLog)) {
	d, l := newDisk(), &writeLog{}
	d.log = l
	inRigOf(t, n, both(change, func(cfg *failover.Config) { cfg.Journal = &diskJournal{d: d} }),
		func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
			return l.telling([]string{"mem", "mem-2", "mem-3"}[i], kv)
		}, func(r *rig) { test(r, d, l) })
}

// setRecord returns the record of a set that one member is owed.
func setRecord(key, value string, seq uint64) failover.Record {
	return failover.Record{Key: key, Value: []byte(value), Owed: 1, Seq: seq}
}

// wantSize wants that j holds that many records and bytes.
func wantSize(t *testing.T, j failover.Journal, keys int, bytes int64) {
	t.Helper()
	k, b := j.Size()
	require.Equal(t, keys, k)
	require.Equal(t, bytes, b)
}

func TestAMemoryJournalCountsTheKeysAndBytesOfItsRecords(t *testing.T) {
	j := failover.MemoryJournal(0)
	wantSize(t, j, 0, 0)
	require.NoError(t, j.Put(setRecord("k", "1234", 1), setRecord("key", "", 2)))
	wantSize(t, j, 2, 1+4+3)
	require.NoError(t, j.Put(setRecord("k", "12", 3)), "in place of the first")
	wantSize(t, j, 2, 1+2+3)
	require.NoError(t, j.Put(failover.Record{Key: "k", Remove: 2, Seq: 4}), "only its removal is left")
	wantSize(t, j, 2, 1+3)
	require.NoError(t, j.Put(failover.Record{Key: "k", Seq: 5}), "asks for nothing")
	wantSize(t, j, 1, 3)
	require.NoError(t, j.Put(failover.Record{Key: "never", Seq: 6}))
	wantSize(t, j, 1, 3)
}

func TestAMemoryJournalForgetsOnlyRecordsThatHaveNotBeenReplaced(t *testing.T) {
	j := failover.MemoryJournal(0)
	old, other := setRecord("k", "old", 1), setRecord("other", "v", 2)
	require.NoError(t, j.Put(old, other))
	require.NoError(t, j.Put(setRecord("k", "newer", 3)))
	require.NoError(t, j.Forget(old, other))
	wantSize(t, j, 1, 1+5)
	require.NoError(t, j.Forget(other), "twice")
	require.NoError(t, j.Forget(failover.Record{Key: "never", Seq: 9}))
	wantSize(t, j, 1, 1+5)
	require.NoError(t, j.Forget(failover.Record{Key: "k", Seq: 3}), "the Seq is what counts")
	wantSize(t, j, 0, 0)
}

func TestAMemoryJournalIsBoundedByKeysReservationsIncluded(t *testing.T) {
	j := failover.MemoryJournal(3)
	require.NoError(t, j.Put(setRecord("k", "v", 1)))
	require.NoError(t, j.Reserve(2, 10))
	wantSize(t, j, 1, 2)
	require.ErrorIs(t, j.Reserve(1, 0), failover.ErrJournalFull)
	require.ErrorIs(t, j.Reserve(1, 0), resilient.ErrRefused)
	require.NoError(t, j.Reserve(0, 10), "a key that has its place needs no other")
	j.Release(0, 10)
	j.Release(1, 5)
	require.NoError(t, j.Reserve(1, 5))
	j.Release(2, 10)
	require.NoError(t, j.Forget(setRecord("k", "v", 1)))
	require.ErrorIs(t, j.Reserve(4, 0), failover.ErrJournalFull, "all or none")
	require.NoError(t, j.Reserve(3, 0))
}

func TestAMemoryJournalIsBoundedByBytesReservationsIncluded(t *testing.T) {
	const bound = 256 << 20
	j := failover.MemoryJournal(0)
	require.NoError(t, j.Put(setRecord("k", "123456789", 1)))
	require.ErrorIs(t, j.Reserve(1, bound-9), failover.ErrJournalFull)
	require.NoError(t, j.Reserve(1, bound-10))
	require.ErrorIs(t, j.Reserve(0, 1), failover.ErrJournalFull)
	require.NoError(t, j.Forget(setRecord("k", "123456789", 1)))
	require.NoError(t, j.Reserve(1, 10))
	require.ErrorIs(t, j.Reserve(0, 1), failover.ErrJournalFull)
	j.Release(1, bound-10)
	require.NoError(t, j.Reserve(1, bound-10))
}

func TestAMemoryJournalOfNoSizeHoldsAHundredThousandKeysAndOneOfANegativeNone(t *testing.T) {
	j := failover.MemoryJournal(0)
	require.ErrorIs(t, j.Reserve(100_001, 0), failover.ErrJournalFull)
	require.NoError(t, j.Reserve(100_000, 0))
	require.ErrorIs(t, failover.MemoryJournal(-1).Reserve(1, 0), failover.ErrJournalFull)
	require.NoError(t, failover.MemoryJournal(-1).Reserve(0, 0))
}

func TestAMemoryJournalIsNotDurableAndHandsOutNothing(t *testing.T) {
	j := failover.MemoryJournal(0)
	require.False(t, j.Durable())
	left, err := j.Open([]string{"a"})
	require.NoError(t, err)
	require.Equal(t, failover.Recovery{Clean: true}, left)
	require.NoError(t, j.Note("n", []byte{1}))
	require.NoError(t, j.Close(false))
}

func TestARecordIsEmptyIfItAsksForNothing(t *testing.T) {
	require.True(t, failover.Record{Key: "k", Value: []byte("v"), Intent: true, Seq: 7}.Empty())
	require.False(t, failover.Record{Owed: 1}.Empty())
	require.False(t, failover.Record{Remove: 1 << 63}.Empty())
}

func TestMembersLenCountsTheMembersOfTheSet(t *testing.T) {
	for set, want := range map[failover.Members]int{0: 0, 1: 1, 6: 2, 1 << 63: 1, ^failover.Members(0): 64} {
		require.Equal(t, want, set.Len(), "%b", set)
	}
}

func TestAGroupReservesForEveryWriteAndGivesItBack(t *testing.T) {
	for _, mode := range []failover.Writes{failover.Handoff, failover.Mirror} {
		t.Run(mode.String(), func(t *testing.T) {
			j := failover.MemoryJournal(3)
			inRig(t, 2, func(cfg *failover.Config) { cfg.Writes, cfg.Complete, cfg.Journal = mode, false, j }, func(r *rig) {
				r.away(0)
				r.set("a", "1")
				r.set("a", "12345")
				require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"b": nil, "c": []byte("123")}))
				wantSize(t, j, 3, 1+5+1+1+3)
				require.ErrorIs(t, r.kv.SetRaw(r.ctx, "d", nil), failover.ErrJournalFull)
				require.NoError(t, r.kv.Delete(r.ctx, "a"), "it has its place")
				wantSize(t, j, 3, 1+1+1+3)
				r.back(0)
				require.NoError(t, r.kv.Flush(r.ctx))
				r.until("the journal is empty", func() bool { keys, _ := j.Size(); return keys == 0 })
				wantSize(t, j, 0, 0)
				require.NoError(t, j.Reserve(3, 0), "every place has been given back")
				j.Release(3, 0)
			})
		})
	}
}

func TestAHealthyGroupWritesNothingToTheJournal(t *testing.T) {
	for _, mode := range []failover.Writes{failover.Handoff, failover.Mirror} {
		t.Run(mode.String(), func(t *testing.T) {
			d := newDisk()
			d.log = &writeLog{}
			inRig(t, 2, func(cfg *failover.Config) {
				cfg.Writes, cfg.Complete, cfg.Journal = mode, false, &diskJournal{d: d}
			}, func(r *rig) {
				for n := range 20 {
					r.set(fmt.Sprint(n), "v")
					require.NoError(t, r.kv.Delete(r.ctx, fmt.Sprint(n/2)))
				}
				require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "b": nil}))
				require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"a", "b"}))
				time.Sleep(time.Minute)
				require.Empty(t, d.log.all())
				r.away(0)
				r.set("k", "v")
				require.NotEmpty(t, d.log.all(), "it would be seen")
			})
		})
	}
}
