package badgerkv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/resilient"
)

// entryOverhead is more than badger's log adds to a key and a value.
const entryOverhead = 64

// change is one key of the database set or deleted.
type change struct {
	key    []byte
	value  []byte
	delete bool
	ttl    time.Duration // 0 = none
}

func (c change) put(txn *badger.Txn) error {
	if c.delete {
		return txn.Delete(c.key)
	}
	e := badger.NewEntry(c.key, c.value)
	if c.ttl > 0 {
		e = e.WithTTL(c.ttl)
	}
	return txn.SetEntry(e)
}

// apply commits the changes in as few transactions as badger allows. Once one
// has been committed, every error is ambiguous.
func (k *KV) apply(ctx context.Context, changes []change) error {
	for done := 0; done < len(changes); {
		n, err := k.applySome(ctx, changes[done:])
		if err != nil && done > 0 && !errors.Is(err, resilient.ErrAmbiguous) {
			return ambiguous(fmt.Errorf("part of the batch was applied: %w", err))
		}
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// applySome commits as many changes from the front as fit into one transaction
// and returns how many.
func (k *KV) applySome(ctx context.Context, changes []change) (n int, err error) {
	select {
	case <-k.gate.IsShut():
		return 0, resilient.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := k.writable(size(changes)); err != nil {
		return 0, err
	}
	committing := false
	err = embedded.Shield(func() error {
		if k.db.IsClosed() {
			return badger.ErrDBClosed
		}
		txn := k.db.NewTransaction(true)
		defer txn.Discard()
		for ; n < len(changes); n++ {
			err := changes[n].put(txn)
			if errors.Is(err, badger.ErrTxnTooBig) && n > 0 {
				break
			}
			if err != nil {
				return err
			}
		}
		committing = true
		return txn.Commit()
	})
	switch {
	case err == nil && k.faults.err() != nil:
		// The listener heard of a failed sync, if not of this commit then of
		// one that went with it.
		return 0, ambiguous(k.faults.err())
	case err == nil:
		return n, nil
	case committing:
		return 0, k.commitError(err)
	}
	return 0, k.refused(err)
}

// size returns about how much the changes add to the disk.
func size(changes []change) (n int64) {
	for _, c := range changes {
		n += int64(len(c.key) + len(c.value) + entryOverhead)
	}
	return n
}
