package failover

import (
	"container/list"
	"sync"
	"time"
)

// backlog lists what is owed, oldest first, and counts it per member.
type backlog struct {
	mu     sync.Mutex // guards all below and the items
	items  *list.List // of *backlogItem
	counts []int      // per member
	bytes  int64
}

// backlogItem is an entry's place in the backlog.
type backlogItem struct {
	key   string
	size  int64
	owed  Members
	since time.Time // when a version of the key was first owed
	at    *list.Element
}

func newBacklog(members int) *backlog {
	return &backlog{items: list.New(), counts: make([]int, members)}
}

// set says who is owed e's version from now on. prev is the item of the
// version before, whose place e takes; nil if there is none. It returns e's
// item, nil if nobody is owed.
func (b *backlog) set(prev *backlogItem, e *entry, owed Members, now time.Time) *backlogItem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if prev == nil {
		if owed == 0 {
			return nil
		}
		prev = &backlogItem{key: e.key, since: now}
		prev.at = b.items.PushBack(prev)
	}
	b.countLocked(prev, -1)
	prev.owed, prev.size = owed, int64(len(e.key)+len(e.value))
	b.countLocked(prev, 1)
	if owed == 0 {
		b.items.Remove(prev.at)
		return nil
	}
	return prev
}

func (b *backlog) countLocked(it *backlogItem, by int) {
	for i := range b.counts {
		if it.owed.has(i) {
			b.counts[i] += by
		}
	}
	if it.owed != 0 {
		b.bytes += int64(by) * it.size
	}
}

// keysOf returns the keys that member i is owed, oldest first.
func (b *backlog) keysOf(i int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts[i] == 0 {
		return nil
	}
	keys := make([]string, 0, b.counts[i])
	for at := b.items.Front(); at != nil; at = at.Next() {
		if it := at.Value.(*backlogItem); it.owed.has(i) {
			keys = append(keys, it.key)
		}
	}
	return keys
}

// count returns how many writes member i is owed.
func (b *backlog) count(i int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[i]
}

// total returns how many keys are owed to somebody, their bytes, and since
// when the oldest is.
func (b *backlog) total() (keys int, bytes int64, oldest time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if front := b.items.Front(); front != nil {
		oldest = front.Value.(*backlogItem).since
	}
	return b.items.Len(), b.bytes, oldest
}
