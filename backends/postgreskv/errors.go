package postgreskv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// errHungUp is why there is no connection although the pool has made some.
var errHungUp = errors.New("the server has closed every connection")

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
		context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, errCut, errHungUp, errSimple, errPlaintext,
		pgconn.ErrConnClosed, pgx.ErrTxCommitRollback,
		pgconn.ErrReadOnlyConnection, pgconn.ErrStandbyConnection, pgconn.ErrPrimaryConnection, pgconn.ErrReadWriteConnection,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("the driver failed (%T)", guard.Innermost(err))
}

// Classify knows the errors of this package, of pgx and of PostgreSQL.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	if class := classOf(err); class != resilient.Failed {
		return class
	}
	if server := (*pgconn.PgError)(nil); errors.As(err, &server) {
		return resilient.Failed
	}
	return resilient.OK
}
