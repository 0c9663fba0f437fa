package badgerkv

import (
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
)

// discardRatio is the share of a value log file that must be garbage before it
// is rewritten; badger's documentation recommends one half.
const discardRatio = 0.5

// collector runs badger's garbage collection of the value log, which badger
// itself never does.
type collector struct {
	stop chan struct{}
	done chan struct{}
}

func newCollector(db *badger.DB, disk *embedded.Disk, every time.Duration, fileSize int64) *collector {
	c := &collector{stop: make(chan struct{}), done: make(chan struct{})}
	go c.run(db, disk, every, fileSize)
	return c
}

func (c *collector) close() {
	close(c.stop)
	<-c.done
}

func (c *collector) run(db *badger.DB, disk *embedded.Disk, every time.Duration, fileSize int64) {
	defer close(c.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		for c.again(db, disk, fileSize) {
			continue
		}
	}
}

// again collects one file and reports whether there may be more to collect. A
// file is rewritten before it is deleted, for which there must be room.
func (c *collector) again(db *badger.DB, disk *embedded.Disk, fileSize int64) bool {
	select {
	case <-c.stop:
		return false
	default:
	}
	if disk.Check(fileSize) != nil {
		return false
	}
	return embedded.Shield(func() error { return db.RunValueLogGC(discardRatio) }) == nil
}
