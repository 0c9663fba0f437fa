package rediskv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// judged is an error of a call with what it means and with a text that is fit
// to be printed.
type judged struct {
	class resilient.Class // OK = unknown
	text  string
	err   error // nil = the text says it all
}

func (j *judged) Error() string    { return j.text }
func (j *judged) GoString() string { return j.text }
func (j *judged) Unwrap() error    { return j.err }

// unsent is a call that was over before the server could hear of it.
func unsent(text string, err error) *judged {
	return &judged{resilient.Refused, text + ": " + err.Error(), err}
}

// judge says what err means. A server repeats the command that it does not
// understand, and the driver the bytes that it cannot parse; keys and values may
// be in either, so neither is shown.
func judge(err error) *judged {
	var j *judged
	if errors.As(err, &j) {
		return j
	}
	var reply redis.Error
	class := classOf(err)
	switch {
	case errors.As(err, &reply):
		return &judged{class, "the server answered " + code(reply), err}
	case speaksOfTransport(err):
		return &judged{class, err.Error(), err}
	}
	return &judged{class, fmt.Sprintf("the client failed (%T)", guard.Innermost(err)), err}
}

// speaksOfTransport reports whether the text of err is about addresses,
// certificates and deadlines only.
func speaksOfTransport(err error) bool {
	for _, target := range []error{
		net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded,
		redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.ErrClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	var (
		op        *net.OpError
		errno     syscall.Errno
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		verify    *tls.CertificateVerificationError
		header    tls.RecordHeaderError
	)
	return errors.As(err, &op) || errors.As(err, &errno) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &verify) || errors.As(err, &header)
}

// code returns the first word of an answer if it is one that Redis gives to a
// kind of error: "WRONGTYPE", "OOM".
func code(reply redis.Error) string {
	word, _, _ := strings.Cut(reply.Error(), " ")
	for _, c := range word {
		if c < 'A' || c > 'Z' {
			return "an error"
		}
	}
	if word == "" || len(word) > 20 {
		return "an error"
	}
	return word
}
