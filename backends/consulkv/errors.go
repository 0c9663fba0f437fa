package consulkv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

var (
	// errForeign is an answer that Consul does not give.
	errForeign = errors.New("the answer is not one of Consul's")
	// errForbidden is what Consul does not say when it leaves out of an answer
	// what the token may not read.
	errForbidden = errors.New("the token may not read this")
)

// fault is an error of the driver under a text that is fit to be printed:
// the driver's own show the URL, which ends in the key, and the body of an
// answer, which names it.
type fault struct {
	class resilient.Class // what it means if the call's ctx is left out of account
	text  string
	err   error
}

// newFault returns what err means.
func newFault(err error) *fault {
	class, text := classOf(err)
	if text == "" {
		text = network(err)
	}
	return &fault{class, text, err}
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.err }

// network describes an error that Consul has not sent, in words of our own or of
// packages that are known to tell addresses at most.
func network(err error) string {
	var (
		op         *net.OpError
		dns        *net.DNSError
		unverified *tls.CertificateVerificationError
		unknownCA  x509.UnknownAuthorityError
		large      *http.MaxBytesError
	)
	switch {
	case errors.As(err, &large):
		return fmt.Sprintf("the answer has more than %d bytes", large.Limit)
	case errors.As(err, &unverified), errors.As(err, &unknownCA):
		return "the server's certificate cannot be verified"
	case errors.As(err, &dns):
		return "the name of the server cannot be resolved"
	case errors.As(err, &op):
		return op.Error()
	}
	var forward *redirected
	if errors.As(err, &forward) {
		return forward.Error()
	}
	for _, known := range []error{
		resilient.ErrClosed, resilient.ErrTimeout, resilient.ErrSuperseded, context.Canceled, context.DeadlineExceeded,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, errForeign,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("the driver failed (%T)", guard.Innermost(err))
}
