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
	if errors.As(err, &reply) {
		return &judged{class, "the server answered " + code(reply), err}
	}
	if text := ofTransport(err); text != "" {
		return &judged{class, text, err}
	}
	return &judged{class, fmt.Sprintf("the client failed (%T)", guard.Innermost(err)), err}
}

// ofTransport returns what err says about addresses, certificates and deadlines,
// and nothing of what is around that: a hook of the client's owner may have put
// the command there. It returns "" if err is about something else.
func ofTransport(err error) string {
	var (
		op        *net.OpError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		header    tls.RecordHeaderError
		errno     syscall.Errno
	)
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &verify):
		return verify.Error()
	case errors.As(err, &authority):
		return authority.Error()
	case errors.As(err, &host):
		return host.Error()
	case errors.As(err, &header):
		return header.Error()
	case errors.As(err, &errno):
		return errno.Error()
	}
	for _, known := range []error{
		net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded,
		redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.ErrClosed,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return ""
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
