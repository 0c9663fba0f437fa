package boltkv

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/resilient"
)

// A group ends at this many writes or bytes, so that neither one commit's time
// nor its memory is without bound. bbolt's own Batch stops at 1000 calls.
const (
	maxGroup      = 1000
	maxGroupBytes = 16 << 20
)

// committer is the only writer of a store. One goroutine begins a transaction,
// and only then takes what has been queued by that time: while one commit is
// on its way to the disk the next group gathers, and a lone write waits for
// nothing.
type committer struct {
	db     *bbolt.DB
	bucket []byte
	disk   *embedded.Disk

	// broken is set for good when a commit failed in a way that leaves the
	// file in doubt.
	broken atomic.Pointer[error]

	wake chan struct{} // holds one token if there may be something in the queue
	stop chan struct{} // closed by close
	done chan struct{} // closed when run has returned

	mu struct {
		sync.Mutex
		queue  []*write // not yet taken into a transaction, oldest first
		closed bool
	}
}

func newCommitter(db *bbolt.DB, bucket []byte, disk *embedded.Disk) *committer {
	c := &committer{
		db:     db,
		bucket: bucket,
		disk:   disk,
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go c.run()
	return c
}

// add queues w.
func (c *committer) add(w *write) error {
	if err := c.fault(); err != nil {
		return err
	}
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		return resilient.ErrClosed
	}
	c.mu.queue = append(c.mu.queue, w)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// drop takes w out of the queue and reports whether it was still there: if so,
// it is not and will not be applied.
func (c *committer) drop(w *write) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.mu.queue, w)
	if i < 0 {
		return false
	}
	c.mu.queue = slices.Delete(c.mu.queue, i, i+1)
	return true
}

// take takes the next group: a write that wants to be alone, or as many of the
// others as may go together. It also reports how much it adds to the file.
func (c *committer) take() (group []*write, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.mu.queue {
		more := w.bytes()
		if n > 0 && (w.alone || n == maxGroup || size+more > maxGroupBytes) {
			break
		}
		n, size = n+1, size+more
		if w.alone {
			break
		}
	}
	group = slices.Clone(c.mu.queue[:n])
	c.mu.queue = slices.Delete(c.mu.queue, 0, n)
	return group, size
}

func (c *committer) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.queue) > 0
}

// close ends every write that is still queued, and waits for the one commit
// that may be in progress.
func (c *committer) close() {
	c.mu.Lock()
	c.mu.closed = true
	finish(c.mu.queue, resilient.ErrClosed)
	c.mu.queue = nil
	c.mu.Unlock()
	close(c.stop)
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	for {
		select {
		case <-c.stop:
			return
		case <-c.wake:
		}
		for c.pending() {
			c.round()
		}
	}
}

// round commits one group.
func (c *committer) round() {
	tx, err := c.begin()
	group, size := c.take()
	if err != nil {
		finish(group, refused(err))
		return
	}
	if len(group) == 0 { // all of them were dropped while another transaction was in the way
		c.rollback(tx)
		return
	}
	group, err = c.attempt(tx, group, size)
	if len(group) < 2 || err == nil || !certain(err) || c.fault() != nil {
		finish(group, err)
		return
	}
	// The transaction was rolled back, and one large write may be to blame.
	for i := range group {
		one := group[i : i+1]
		tx, err := c.begin()
		if err != nil {
			finish(one, refused(err))
			continue
		}
		one, err = c.attempt(tx, one, one[0].bytes())
		finish(one, err)
	}
}

// attempt makes the changes of group in tx and commits it. It returns the
// result for the writes that are not finished yet: those that the bucket
// itself refused are, and are left out of the commit.
func (c *committer) attempt(tx *bbolt.Tx, group []*write, size int64) (rest []*write, err error) {
	defer c.rollback(tx) // does nothing once tx has ended
	if err := c.fault(); err != nil {
		return group, err
	}
	if err := c.disk.Check(size); err != nil {
		return group, fmt.Errorf("boltkv: %w", err)
	}
	id, committing := tx.ID(), false
	err = embedded.Shield(func() error {
		b := tx.Bucket(c.bucket)
		if b == nil {
			rest = group
			return errNoBucket
		}
		for _, w := range group {
			if err := w.apply(b); err != nil {
				finish([]*write{w}, refused(err))
				if w.alone {
					return nil
				}
				continue
			}
			rest = append(rest, w)
		}
		if len(rest) == 0 {
			return nil
		}
		committing = true
		return tx.Commit()
	})
	if err == nil {
		return rest, nil
	}
	if !committing {
		if panicked(err) {
			c.breakDown(err)
		}
		return group, refused(err)
	}
	return rest, c.verdict(err, id)
}

// verdict says what became of the commit of transaction id that failed with
// err. bbolt reads its file through a shared mapping, so the newest meta page
// that it sees is the one the file has: if that is an older one, the
// transaction was certainly not applied. All failures but a lack of space
// leave the device in doubt and break the store until it is opened anew.
func (c *committer) verdict(err error, id int) error {
	applied := true // unless proven
	_ = embedded.Shield(func() error {
		return c.db.View(func(tx *bbolt.Tx) error {
			applied = tx.ID() >= id
			return nil
		})
	})
	if applied || !lacksSpace(err) {
		c.breakDown(err)
	}
	if applied {
		return fmt.Errorf("boltkv: %w: %w", resilient.ErrAmbiguous, err)
	}
	return refused(err)
}

// breakDown refuses all later writes.
func (c *committer) breakDown(err error) {
	err = fmt.Errorf("boltkv: %w: an earlier commit failed and the file must be opened anew: %w", resilient.ErrRefused, err)
	c.broken.CompareAndSwap(nil, &err)
}

// fault returns the error of all writes after breakDown, nil before.
func (c *committer) fault() error {
	if err := c.broken.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *committer) begin() (tx *bbolt.Tx, err error) {
	err = embedded.Shield(func() (err error) {
		tx, err = c.db.Begin(true)
		return err
	})
	return tx, err
}

func (c *committer) rollback(tx *bbolt.Tx) {
	_ = embedded.Shield(tx.Rollback)
}

// finish gives every write its result; the first one that a write gets counts.
// It never blocks.
func finish(group []*write, err error) {
	for _, w := range group {
		select {
		case w.done <- err:
		default:
		}
	}
}
