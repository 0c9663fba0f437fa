package mysqlkv

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// batchRows is how many keys travel in one statement: at most 1000
	// placeholders of the 65,535 that there can be, and fewer values than the
	// 1000 from which on MariaDB makes a join of an IN
	// (in_predicate_conversion_threshold).
	batchRows = 500
	// batchBytes is how much of a batch is in memory twice, here and in the
	// driver's packet.
	batchBytes = 4 << 20
	// noChain overrules the session's completion_type, with which the end of a
	// transaction may begin another: the pool's next write would stay in that.
	noChain = " AND NO CHAIN NO RELEASE"
)

// batch is one connection on which a batch runs. It belongs to one call.
type batch struct {
	conn *sql.Conn
	sql  *statements

	// The statement of the last chunk: all chunks but the last are of one size.
	kept  *sql.Stmt
	begin string
	n     int
}

// batch runs fn on a connection of its own.
func (k *KV) batch(ctx context.Context, writes bool, fn func(ctx context.Context, b *batch) error) error {
	return k.call(ctx, writes, func(ctx context.Context) error {
		if err := k.meet(ctx); err != nil {
			return err
		}
		run := func() error {
			conn, err := k.db.Conn(ctx)
			if err != nil {
				return before(connecting, err)
			}
			b := &batch{conn: conn, sql: &k.sql}
			defer b.release()
			return fn(ctx, b)
		}
		if !writes {
			return run()
		}
		return again(ctx, run)
	})
}

func (b *batch) release() {
	b.drop()
	_ = b.conn.Close() // gives the connection back
}

// drop closes the kept statement.
func (b *batch) drop() {
	if b.kept != nil {
		_ = b.kept.Close()
		b.kept = nil
	}
}

// prepare returns the statement for n keys that begins with begin.
func (b *batch) prepare(ctx context.Context, begin string, n int) (*sql.Stmt, error) {
	if b.kept != nil && b.begin == begin && b.n == n {
		return b.kept, nil
	}
	b.drop()
	made, err := b.conn.PrepareContext(ctx, b.sql.many(begin, n))
	if err != nil {
		return nil, err
	}
	b.kept, b.begin, b.n = made, begin, n
	return made, nil
}

func (b *batch) query(ctx context.Context, begin string, n int, args []any) (*sql.Rows, error) {
	made, err := b.prepare(ctx, begin, n)
	if err != nil {
		return nil, err
	}
	return made.QueryContext(ctx, args...)
}

func (b *batch) exec(ctx context.Context, begin string, n int, args []any) error {
	made, err := b.prepare(ctx, begin, n)
	if err != nil {
		return err
	}
	_, err = made.ExecContext(ctx, args...)
	return err
}

// commit runs write, which has that many statements, in one transaction; a
// lone statement is one by itself. sql.Tx would not do: its Commit does not
// look at ctx, and hangs as long as a frozen server does.
func (b *batch) commit(ctx context.Context, statements int, write func() error) error {
	if statements == 1 {
		return write()
	}
	ended := false // the transaction, for certain
	defer func() {
		if !ended {
			// The pool must not lend out a connection in the middle of a
			// transaction; the server rolls back when it is closed.
			_ = b.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	if _, err := b.conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
		return before("the transaction was not begun", err)
	}
	err := write()
	if err == nil {
		if _, err = b.conn.ExecContext(ctx, "COMMIT"+noChain); err == nil {
			ended = true
			return nil
		}
		if !rolledBack(err) {
			// What says that a statement was undone need not say so of a COMMIT.
			err = fmt.Errorf("%w: %w", resilient.ErrAmbiguous, err)
		}
	}
	_, undo := b.conn.ExecContext(ctx, "ROLLBACK"+noChain)
	ended = undo == nil
	return err
}

func keyArgs(keys []string) []any {
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = key
	}
	return args
}

func entryArgs(entries []guard.Entry) []any {
	args := make([]any, 0, 2*len(entries))
	for _, e := range entries {
		args = append(args, e.Key, present(e.Value))
	}
	return args
}
