package postgreskv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// States of PostgreSQL (appendix A of its manual) that the code looks for.
const (
	undefinedTable  = "42P01"
	duplicateTable  = "42P07"
	duplicateObject = "42710"
	uniqueViolation = "23505"
)

// state is what a SQLSTATE means: whether what was asked for may have been
// done, and words for it. The server's own words may hold a key or a value.
type state struct {
	class resilient.Class
	text  string
}

var states = map[string]state{
	"40001": {resilient.Conflict, "serialization failure"},
	"40P01": {resilient.Conflict, "deadlock"},

	"25006":        {resilient.Refused, "the server is a standby or read-only"},
	"25P03":        {resilient.Refused, "idle_in_transaction_session_timeout has passed"},
	"28000":        {resilient.Refused, "the server does not let this user in"},
	"28P01":        {resilient.Refused, "wrong password"},
	"3D000":        {resilient.Refused, "no such database"},
	"3F000":        {resilient.Refused, "no such schema"},
	"42501":        {resilient.Refused, "the user lacks a right"},
	"42703":        {resilient.Refused, "the table has no such column"},
	undefinedTable: {resilient.Refused, "the table is not there"},
	"53100":        {resilient.Refused, "the disk is full"},
	"53200":        {resilient.Refused, "the server is out of memory"},
	"53300":        {resilient.Refused, "too many connections"},
	"53400":        {resilient.Refused, "a limit of the server's configuration is reached"},
	"55P03":        {resilient.Refused, "a lock was not free within lock_timeout"},
	"57014":        {resilient.Refused, "cancelled, by statement_timeout or an operator"},
	"57P03":        {resilient.Refused, "the server is starting, stopping or recovering"},
	"57P05":        {resilient.Refused, "idle_session_timeout has passed"},
	"58030":        {resilient.Refused, "an I/O error of the server"},
	"XX001":        {resilient.Refused, "corrupt data"},
	"XX002":        {resilient.Refused, "a corrupt index"},

	"40003": {resilient.Failed, "statement completion unknown"},
	"57P01": {resilient.Failed, "the session was ended by an operator or a shutdown"},
	"57P02": {resilient.Failed, "the server has crashed"},
	"57P04": {resilient.Failed, "the database was dropped"},

	"54000": {resilient.Invalid, "a limit of the server is exceeded"},
}

// stateOf returns what e means.
func stateOf(e *pgconn.PgError) state {
	if s, ok := states[e.Code]; ok {
		return s
	}
	severity := e.SeverityUnlocalized
	if severity == "" { // before PostgreSQL 9.6, and some poolers
		severity = e.Severity
	}
	switch kind := e.Code[:min(2, len(e.Code))]; {
	case kind == "22", kind == "23":
		return state{resilient.Invalid, "the server refuses this key or value"}
	case kind == "08":
		return state{resilient.Failed, "connection exception"} // of a pooler, about its own connection
	case severity == "ERROR":
		// It has rolled the transaction back.
		return state{resilient.Refused, "an error of the server"}
	}
	return state{resilient.Failed, "the server has ended the session"}
}

func hasState(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// classOf returns what err, of a statement, means if ctx is left out of account.
func classOf(err error) resilient.Class {
	var (
		connect *pgconn.ConnectError
		server  *pgconn.PgError
	)
	switch {
	case errors.As(err, &connect), errors.Is(err, pgconn.ErrConnClosed), pgconn.SafeToRetry(err):
		return resilient.Refused // nothing was sent
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return resilient.Refused
	case errors.As(err, &server):
		return stateOf(server).class
	}
	return resilient.Failed
}

// explain makes the error that a call returns.
func explain(ctx context.Context, class resilient.Class, writes bool, err error) error {
	return guard.Explain("postgreskv", ctx, class, writes, &failure{describe(err), err})
}

// failure is an error of the driver under a text that is fit to be printed: no
// key, value, password or name that was part of the URL.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// describe returns err in words of our own or of packages that are known to
// tell addresses at most.
func describe(err error) string {
	var (
		connect *pgconn.ConnectError
		server  *pgconn.PgError
	)
	where := ""
	if errors.As(err, &connect) {
		where = "cannot connect: "
	}
	switch {
	case !errors.As(err, &server):
		return where + network(err)
	case where != "" && stateOf(server).class == resilient.Invalid:
		return fmt.Sprintf("%sSQLSTATE %s: the server refuses the login", where, code(server))
	}
	return fmt.Sprintf("%sSQLSTATE %s: %s", where, code(server), stateOf(server).text)
}

// code is the state's five characters, or nothing: what speaks the protocol may
// be anybody.
func code(e *pgconn.PgError) string {
	odd := func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }
	if len(e.Code) != 5 || strings.ContainsFunc(e.Code, odd) {
		return "unknown"
	}
	return e.Code
}

// network describes errors that are not the server's.
func network(err error) string {
	var (
		op         *net.OpError
		dns        *net.DNSError
		unverified *tls.CertificateVerificationError
		unknownCA  x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &dns):
		return "the name of the server cannot be resolved"
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &unverified), errors.As(err, &unknownCA):
		return "the server's certificate cannot be verified"
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, errCut,
		pgconn.ErrConnClosed, pgx.ErrTxCommitRollback,
		pgconn.ErrReadOnlyConnection, pgconn.ErrStandbyConnection, pgconn.ErrPrimaryConnection, pgconn.ErrReadWriteConnection,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("the driver failed (%T)", innermost(err))
}

// innermost returns the end of err's chain.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// Classify knows the errors of this package, of pgx and of PostgreSQL.
func (k *KV) Classify(err error) resilient.Class {
	switch {
	case err == nil:
		return resilient.OK
	case errors.Is(err, resilient.ErrAmbiguous):
		return resilient.Failed
	case errors.Is(err, resilient.ErrRefused):
		return resilient.Refused
	}
	if class := classOf(err); class != resilient.Failed {
		return class
	}
	if server := (*pgconn.PgError)(nil); errors.As(err, &server) {
		return resilient.Failed
	}
	return resilient.OK
}
