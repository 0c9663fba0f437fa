package boltkv

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// change is one key set or deleted.
type change struct {
	key   []byte
	value []byte // nil deletes
}

// set returns the change that stores a copy of value: the caller may be gone,
// and its slice changed, before the commit reads it.
func set(key string, value []byte) change {
	out := make([]byte, len(value))
	copy(out, value)
	return change{key: []byte(key), value: out}
}

func compareChanges(a, b change) int { return bytes.Compare(a.key, b.key) }

// write is what one call wants committed. Its fields are set before it is
// queued; done holds the one result that its caller reads.
type write struct {
	changes []change
	alone   bool // wants a transaction of its own
	done    chan error
}

// bytes returns about how much w adds to the file.
func (w *write) bytes() (n int64) {
	for _, c := range w.changes {
		n += int64(len(c.key) + len(c.value))
	}
	return n
}

// apply makes w's changes in b. It fails before it has changed anything if w
// is a single change.
func (w *write) apply(b *bbolt.Bucket) error {
	for _, c := range w.changes {
		var err error
		if c.value == nil {
			err = b.Delete(c.key)
		} else {
			err = b.Put(c.key, c.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
