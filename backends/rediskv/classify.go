package rediskv

import (
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/resilient"
)

// Classify knows the errors of this package, those of go-redis and the answers
// of Redis, by their first word.
func (k *KV) Classify(err error) resilient.Class {
	if err == nil {
		return resilient.OK
	}
	return classOf(err)
}

// classOf returns OK for an error that it does not know.
func classOf(err error) resilient.Class {
	var (
		j     *judged
		reply redis.Error
		op    *net.OpError
	)
	switch {
	case errors.Is(err, resilient.ErrAmbiguous):
		return resilient.Failed
	case errors.Is(err, resilient.ErrRefused):
		return resilient.Refused
	case errors.As(err, &j):
		return j.class
	case errors.Is(err, redis.Nil):
		return resilient.Missing
	case errors.As(err, &reply):
		return classOfReply(reply)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed):
		return resilient.Refused
	case errors.As(err, &op) && op.Op == "dial":
		return resilient.Refused
	}
	return resilient.OK
}

// classOfReply judges what a server answered. Redis looks for the causes of
// all that are Refused here before it carries a command out (processCommand in
// server.c of 7.0.15); a proxy's ERR may come after that.
func classOfReply(reply redis.Error) resilient.Class {
	text := reply.Error()
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "LOADING", "MASTERDOWN", "BUSY", "READONLY", "OOM", "MISCONF", "NOREPLICAS",
		"CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "NOAUTH", "WRONGPASS":
		return resilient.Refused
	case "NOPERM":
		// For a command: the store serves nobody who is this user. For a key:
		// it serves other keys.
		if strings.Contains(rest, "permissions to access ") {
			return resilient.Invalid
		}
		return resilient.Refused
	case "WRONGTYPE":
		return resilient.Invalid
	case "ERR":
		return classOfERR(rest)
	}
	return resilient.OK
}

// classOfERR judges the answers that have no code of their own.
func classOfERR(rest string) resilient.Class {
	for _, prefix := range []string{"max number of clients", "AUTH", "invalid password", "DB index is out of range", "invalid DB index", "SELECT is not allowed"} {
		if strings.HasPrefix(rest, prefix) {
			return resilient.Refused // by the handshake of the connection
		}
	}
	for _, prefix := range []string{"unknown command", "unknown subcommand", "wrong number of arguments", "syntax error", "string exceeds maximum", "Protocol error"} {
		if strings.HasPrefix(rest, prefix) {
			return resilient.Invalid
		}
	}
	return resilient.OK
}
