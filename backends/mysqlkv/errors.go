package mysqlkv

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

var (
	errSlowConnect = errors.New("no connection was ready within Config.DialTimeout")
	errNoFree      = errors.New("every connection of the pool was taken until the call's end")
	errAutocommit  = errors.New("the borrowed database has autocommit off: no write would last")
	errColumns     = errors.New("the table's columns are not k VARBINARY and v BLOB: keys would not keep their bytes")
	errPanic       = errors.New("the driver panicked")
	errSQLMode     = errors.New("the borrowed database has no strict sql_mode: the server would cut off what does not fit")
	errCharset     = errors.New("the borrowed database has a character_set_connection other than its character_set_client: the server would change keys and values")
	errSelectLimit = errors.New("the borrowed database has a sql_select_limit that would cut off the answers to batches")
	errDirty       = errors.New("the isolation level is READ UNCOMMITTED: what is read need never have been stored")
	errKey         = errors.New("the table has no unique index of the whole column k, or one of anything else: keys would be taken for each other")
	errEngine      = errors.New("the table's engine has no transactions: a batch that fails would be applied in part")
	errPacket      = errors.New("the server's max_allowed_packet has no room for a value of 512 KiB")
)

// unsent is why a call ended before anything of it was sent: there was no
// connection, or the statement could not be prepared.
type unsent struct {
	stage string
	err   error
}

func (u *unsent) Error() string { return u.stage + ": " + text(u.err) }
func (u *unsent) Unwrap() error { return u.err }

// The stages of a call before anything of it is sent.
const (
	connecting = "no connection"
	meeting    = "first contact"
	preparing  = "the statement was not prepared"
)

// before returns err as one of the given stage, nil if it is nil.
func before(stage string, err error) error {
	var u *unsent
	if err == nil || errors.As(err, &u) {
		return err
	}
	return &unsent{stage, err}
}

// safe is an error of the driver whose own text may hold a key, a value or
// part of the DSN. errors.As reaches it; it is not printed.
type safe struct {
	text string
	err  error
}

func (s *safe) Error() string { return s.text }
func (s *safe) Unwrap() error { return s.err }

// printable returns err, or something in its place that can be printed.
func printable(err error) error {
	switch err {
	case context.Canceled, context.DeadlineExceeded, errNoFree:
		return err
	}
	var u *unsent
	if errors.As(err, &u) {
		return u
	}
	return &safe{text(err), err}
}

// text says what err is in words that come from the server or its address in
// no case.
func text(err error) string {
	var (
		server *mysql.MySQLError
		op     *net.OpError
		errno  syscall.Errno
	)
	if errors.As(err, &server) {
		said := fmt.Sprintf("error %d", server.Number)
		if reason := reasons[server.Number]; reason != "" {
			said += ", " + reason
		}
		return said
	}
	for _, known := range []error{
		errSlowConnect, errAutocommit, errColumns, errPanic, errSQLMode, errCharset, errSelectLimit, errDirty, errKey, errEngine, errPacket, context.Canceled, context.DeadlineExceeded,
		driver.ErrBadConn, sql.ErrConnDone, mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul,
		mysql.ErrPktTooLarge, mysql.ErrBusyBuffer, mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword,
		mysql.ErrOldPassword, mysql.ErrUnknownPlugin, mysql.ErrOldProtocol, io.ErrShortWrite, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	said := ""
	if errors.As(err, &op) {
		said = op.Op + ": "
	}
	var (
		dns          *net.DNSError
		verification *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &verification):
		return "the server's certificate was not accepted"
	case errors.As(err, &errno):
		return said + errno.Error()
	case errors.As(err, &dns):
		return said + "the host's name was not resolved"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return said + "i/o timeout"
	}
	return fmt.Sprintf("%sa %T of the driver", said, guard.Innermost(err))
}

// reasons are the errors of a server that an operator can do something about.
var reasons = map[uint16]string{
	1036: "the table is read-only",
	1040: "too many connections",
	1044: "the user may not use the database",
	1045: "user or password is wrong",
	1046: "no database is named",
	1049: "the database is not there",
	1114: "the table or the disk is full",
	1021: "the disk is full",
	1142: "the user may not do this to the table",
	1146: "the table is not there",
	1153: "a packet is larger than the server takes",
	1203: "the user has too many connections",
	1205: "a lock was not free in time",
	1213: "deadlock, rolled back",
	1226: "the user has used up what it may use",
	1290: "the server is read-only",
	1836: "the server is read-only",
}

// Classify knows the errors of this package, of the driver and of the server.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	return classify(err)
}

// classify returns what an error of the driver means, OK if it does not know.
func classify(err error) resilient.Class {
	var (
		u      *unsent
		server *mysql.MySQLError
	)
	switch {
	case errors.Is(err, resilient.ErrAmbiguous):
		return resilient.Failed
	case errors.As(err, &u):
		if c := classify(u.err); c == resilient.Conflict {
			return c
		}
		return resilient.Refused
	case errors.Is(err, errNoFree):
		return resilient.Refused
	case errors.As(err, &server):
		return numbers[server.Number] // 0, OK, for one that is not there
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		// The driver says so only when nothing was written; database/sql has
		// tried other connections by now.
		return resilient.Refused
	case errors.Is(err, mysql.ErrPktTooLarge):
		return resilient.Invalid
	case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, mysql.ErrPktSync), errors.Is(err, mysql.ErrPktSyncMul),
		errors.Is(err, mysql.ErrMalformPkt), errors.Is(err, io.ErrShortWrite):
		return resilient.Failed
	}
	return resilient.OK
}

// numbers are the server's errors. Those that refuse every call, such as a
// missing right, are Refused rather than Invalid: they are no fault of the key,
// and the next store may be able to serve it.
var numbers = map[uint16]resilient.Class{
	// Rolled back, and the same call can succeed.
	1020: resilient.Conflict, // the row has changed since the transaction began
	1213: resilient.Conflict, // deadlock
	1412: resilient.Conflict, // the table's definition has changed, retry
	1615: resilient.Conflict, // the statement must be prepared again
	3101: resilient.Conflict, // group replication rolled the transaction back

	// The server cannot write, or cannot work.
	1021: resilient.Refused, // disk full
	1036: resilient.Refused, // the table is read-only
	1037: resilient.Refused, // out of memory
	1041: resilient.Refused, // out of memory
	1114: resilient.Refused, // table or disk full
	1223: resilient.Refused, // read lock
	1290: resilient.Refused, // read_only, super_read_only
	1792: resilient.Refused, // read-only transaction
	1836: resilient.Refused, // read-only mode
	1874: resilient.Refused, // InnoDB is read-only
	3100: resilient.Refused, // group replication could not even begin the commit

	// The statement was ended and undone, or never begun.
	1205: resilient.Refused, // lock wait; Refused because nobody else's turn is known to come
	1317: resilient.Refused, // KILL QUERY
	1461: resilient.Refused, // too many prepared statements
	1969: resilient.Refused, // max_statement_time
	3024: resilient.Refused, // max_execution_time

	// No way in, or no right to it.
	1040: resilient.Refused, // too many connections
	1044: resilient.Refused, // access denied to the database
	1045: resilient.Refused, // wrong password
	1046: resilient.Refused, // no database
	1047: resilient.Refused, // a Galera node that is not ready
	1049: resilient.Refused, // unknown database
	1129: resilient.Refused, // host blocked
	1130: resilient.Refused, // host not allowed
	1142: resilient.Refused, // access denied to the table
	1143: resilient.Refused, // access denied to a column
	1146: resilient.Refused, // no table
	1203: resilient.Refused, // the user's connections
	1226: resilient.Refused, // the user's resources
	1227: resilient.Refused, // a privilege is missing
	1698: resilient.Refused, // access denied without password
	1820: resilient.Refused, // the password has expired
	3032: resilient.Refused, // offline mode

	// The table is not the one that this package makes.
	1054: resilient.Refused, // no such column
	1064: resilient.Refused, // syntax: a server that speaks another SQL

	// This key or this value.
	1153: resilient.Invalid, // larger than max_allowed_packet
	1366: resilient.Invalid, // no value of the column
	1406: resilient.Invalid, // too long for the column

	// May have been applied.
	1053: resilient.Failed, // shutdown
	1180: resilient.Failed, // error during commit
	1927: resilient.Failed, // KILL CONNECTION
}

// readOnly are the errors of a server that takes no writes and is otherwise well,
// as one is that has handed its part to another.
var readOnly = map[uint16]bool{1290: true, 1792: true, 1836: true}

// rolledBack reports whether err says that the server has undone all of the
// transaction and that the same one can succeed. A lock wait that took too long
// (1205) is not one: the server undoes the statement only, and the call has
// waited long enough.
func rolledBack(err error) bool { return classify(err) == resilient.Conflict }
