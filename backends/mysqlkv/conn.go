package mysqlkv

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

// conn is a connection of the driver's that the pool does not keep once its era
// is over: database/sql can be told to close those that are idle, and not those
// that are in use.
type conn struct {
	to   driverConn
	eras *atomic.Uint64 // the number of the present one
	born uint64         // the number of the one in which it was made
}

// driverConn is what the driver's connections can do and database/sql asks for.
type driverConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

var _ driverConn = (*conn)(nil)

var errNoTx = errors.New("database/sql uses BeginTx")

func (c *conn) past() bool { return c.eras.Load() != c.born }

// IsValid is asked when the connection is given back.
func (c *conn) IsValid() bool { return !c.past() && c.to.IsValid() }

// ResetSession is asked before the connection is used again.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.past() {
		return driver.ErrBadConn
	}
	return c.to.ResetSession(ctx)
}

func (c *conn) Close() error                                   { return c.to.Close() }
func (c *conn) Ping(ctx context.Context) error                 { return c.to.Ping(ctx) }
func (c *conn) Prepare(query string) (driver.Stmt, error)      { return c.to.Prepare(query) }
func (c *conn) CheckNamedValue(value *driver.NamedValue) error { return c.to.CheckNamedValue(value) }
func (c *conn) Begin() (driver.Tx, error)                      { return nil, errNoTx }

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.to.BeginTx(ctx, opts)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.to.PrepareContext(ctx, query)
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.to.ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.to.QueryContext(ctx, query, args)
}
