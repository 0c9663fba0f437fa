package mysqlkv

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// silence ends a read or a write on a connection that nothing else ends:
	// every call of ours has a deadline, but the driver reads the rest of an
	// answer that nobody wants, and says goodbye, without one.
	silence = time.Minute
	// maxIdleTime is how long a connection that a burst has left behind stays.
	maxIdleTime = time.Minute
	// maxLifetime makes a pool follow a name that points to another server,
	// and is what the driver's README advises against connections that
	// something in between has dropped.
	maxLifetime = 5 * time.Minute
	// leaveEvery is how often a server that is and stays read-only costs new
	// connections.
	leaveEvery = time.Second
	// longestLockWait, a year, is the most that a server takes for
	// lock_wait_timeout, in seconds; innodb_lock_wait_timeout may be longer.
	longestLockWait = 365 * 24 * 60 * 60
)

// parse turns dsn into the driver's configuration, without what is dangerous.
// Its errors hold nothing of dsn.
func parse(dsn string, cfg Config) (*mysql.Config, error) {
	if dsn == "" {
		return nil, errors.New("mysqlkv: the DSN is empty")
	}
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The driver's text quotes what it did not understand, and in a DSN
		// that is written wrongly that can be the password.
		return nil, errors.New("mysqlkv: the DSN is not user:password@tcp(host:port)/database?option=value, " +
			"or an option's value is not one that the driver knows; user and password are taken literally, option values are URL-escaped")
	}
	if c.DBName == "" && !strings.Contains(cfg.Namespace, ".") {
		return nil, errors.New("mysqlkv: neither the DSN nor Config.Namespace names a database")
	}
	if cfg.RequireTLS && (c.TLS == nil || c.TLS.InsecureSkipVerify || c.AllowFallbackToPlaintext) {
		return nil, errors.New("mysqlkv: Config.RequireTLS is set, and the DSN does not ask for TLS with a verified certificate (tls=true)")
	}
	c.InterpolateParams = false // keys and values never become part of a statement's text
	c.MultiStatements = false
	c.AllowAllFiles = false  // a server could ask for any file of this machine
	c.RejectReadOnly = false // it turns "read-only" into three tries and an error that says nothing
	c.ClientFoundRows = false
	c.CheckConnLiveness = true // a connection that the server has closed is found before anything is sent
	c.Logger = &mysql.NopLogger{}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = silence
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = silence
	}
	// The server's own limit counts (see meet); the driver's must not be less.
	c.MaxAllowedPacket = max(mysql.NewConfig().MaxAllowedPacket, cfg.MaxValue+packetRoom)
	return c, nil
}

// connector makes connections that are ready for use. It stands between
// database/sql and the driver's own.
type connector struct {
	driver.Connector
	within time.Duration // dial, TLS, login and the session's settings together
	setup  string        // the statement with the session's settings
	eras   atomic.Uint64 // see conn
}

func newConnector(c *mysql.Config, cfg Config) (*connector, error) {
	within := cfg.DialTimeout
	if within == 0 {
		within = c.Timeout
	}
	if within == 0 {
		within = defaultDialTimeout
	}
	c.Timeout = within
	inner, err := mysql.NewConnector(c)
	if err != nil {
		return nil, errors.New("mysqlkv: the driver refuses the DSN")
	}
	return &connector{Connector: inner, within: within, setup: session(cfg)}, nil
}

// session returns the statement that every connection begins with. It is the
// last word on these settings, whatever the DSN has set.
func session(cfg Config) string {
	// A parameter in another character set than that of the connection would be
	// converted, which changes keys and values; a limit would cut off answers.
	set := "SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'" +
		", character_set_connection = @@character_set_client, sql_select_limit = 18446744073709551615"
	if cfg.Timeout > 0 {
		// Defaults are 50 s for a row and at least a day for a table. A write
		// whose caller has left would wait that long and then be applied.
		seconds := min(int64(math.Ceil(cfg.Timeout.Seconds())), longestLockWait)
		set += fmt.Sprintf(", innodb_lock_wait_timeout = %d, lock_wait_timeout = %d", seconds, seconds)
	}
	return set
}

// Connect returns a connection, or an error that is an *unsent.
func (c *connector) Connect(ctx context.Context) (_ driver.Conn, err error) {
	defer func() {
		// What a server greets with is taken apart here, on goroutines of
		// database/sql's own too, where a panic would end the process.
		if p := recover(); p != nil {
			err = &unsent{connecting, errPanic}
		}
	}()
	within, cancel := context.WithTimeoutCause(ctx, c.within, resilient.ErrTimeout)
	defer cancel()
	born := c.eras.Load() // before the name is looked up
	made, err := c.Connector.Connect(within)
	if err == nil {
		to := made.(driverConn)
		if _, err = to.ExecContext(within, c.setup, nil); err == nil {
			return &conn{to: to, eras: &c.eras, born: born}, nil
		}
		_ = to.Close()
	}
	if ctx.Err() == nil && within.Err() != nil {
		err = errSlowConnect // the caller's ctx is not what has ended
	}
	return nil, &unsent{connecting, err}
}

// openPool returns a pool on c, which makes no connection yet.
func openPool(c *connector, size int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size) // the default of two would close and dial all the time
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return db
}
