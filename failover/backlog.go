package failover

import (
	"container/list"
	"sync"
	"time"
)

// backlog lists what is owed, oldest first, and the copies that are to be
// removed, and counts both per member.
type backlog struct {
	mu       sync.Mutex // guards all below and the items
	owed     *list.List // of *backlogItem with somebody who is owed
	removals *list.List // of the others
	counts   []owing    // per member
	bytes    int64      // of what is owed
}

// owing is how much there is to do at one member.
type owing struct{ writes, removals int }

// backlogItem is an entry's place in the backlog.
type backlogItem struct {
	key    string
	size   int64
	owed   Members
	remove Members
	since  time.Time // when the key began to be owed
	at     *list.Element
	in     *list.List
}

func newBacklog(members int) *backlog {
	return &backlog{owed: list.New(), removals: list.New(), counts: make([]owing, members)}
}

// set lists what e asks for. prev is the item of the version before, or of e
// itself, whose place e keeps; nil if there is none. It returns e's item, nil
// if it asks for nothing. The key's lock is held.
func (b *backlog) set(prev *backlogItem, e *entry, now time.Time) *backlogItem {
	b.mu.Lock()
	defer b.mu.Unlock()
	it := prev
	if it == nil {
		if e.idle() {
			return nil
		}
		it = &backlogItem{key: e.key}
	}
	b.countLocked(it, -1)
	it.owed, it.remove, it.size = e.owed, e.remove, e.size()
	b.countLocked(it, 1)
	in := b.removals
	if it.owed != 0 {
		in = b.owed
	}
	if it.in != nil && (it.in != in || e.idle()) {
		it.in.Remove(it.at)
		it.in = nil
	}
	if e.idle() {
		return nil
	}
	if it.in == nil {
		it.in, it.at, it.since = in, in.PushBack(it), e.began(now)
	}
	return it
}

func (b *backlog) countLocked(it *backlogItem, by int) {
	for i := range b.counts {
		if it.owed.has(i) {
			b.counts[i].writes += by
		}
		if it.remove.has(i) {
			b.counts[i].removals += by
		}
	}
	if it.owed != 0 {
		b.bytes += int64(by) * it.size
	}
}

// due returns the keys that something can be done for at member i: those it is
// owed, oldest first, and those whose copy there can go.
func (b *backlog) due(i int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys []string
	if b.counts[i].writes > 0 {
		keys = make([]string, 0, b.counts[i].writes)
		for at := b.owed.Front(); at != nil; at = at.Next() {
			if it := at.Value.(*backlogItem); it.owed.has(i) {
				keys = append(keys, it.key)
			}
		}
	}
	if b.counts[i].removals > 0 {
		for at := b.removals.Front(); at != nil; at = at.Next() {
			if it := at.Value.(*backlogItem); it.remove.has(i) {
				keys = append(keys, it.key)
			}
		}
	}
	return keys
}

// count returns how many writes member i is owed, and how many copies there
// are to be removed.
func (b *backlog) count(i int) owing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[i]
}

// total returns how many keys are owed to somebody, their bytes, and since
// when the oldest is.
func (b *backlog) total() (keys int, bytes int64, oldest time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if front := b.owed.Front(); front != nil {
		oldest = front.Value.(*backlogItem).since
	}
	return b.owed.Len(), b.bytes, oldest
}

// empty reports whether there is nothing to do at any member.
func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owed.Len()+b.removals.Len() == 0
}
