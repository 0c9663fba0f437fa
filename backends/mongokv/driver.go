package mongokv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

// The driver's packages under x/ may change with any version, and only this file
// stands on them. It was written for v2.9.3.

// neverSent reports whether err can only have come before the command was sent.
func neverSent(err error) bool {
	var (
		selection topology.ServerSelectionError
		queue     topology.WaitQueueTimeoutError
		pool      topology.PoolError
		cleared   driver.RetryablePoolError
	)
	switch {
	case errors.Is(err, mongo.ErrClientDisconnected), errors.Is(err, topology.ErrServerClosed),
		errors.Is(err, driver.ErrDeadlineWouldBeExceeded),
		errors.As(err, &selection), errors.As(err, &queue), errors.As(err, &pool), errors.As(err, &cleared):
		return true
	}
	var command mongo.CommandError
	if !errors.As(err, &command) {
		// The driver looks at the context before it sends; what ends a command
		// later is in a CommandError. A ConnectionError that is not is of a
		// connection that was being made.
		var connection topology.ConnectionError
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &connection)
	}
	// An error on a connection in use is a driver.Error around a
	// ConnectionError. In the handshake of a new one it is the reverse. One that
	// could not be made at all is like one in use, but has the label of an
	// overloaded server, which classOf knows.
	var connection topology.ConnectionError
	if !errors.As(err, &connection) {
		return false
	}
	_, inUse := command.Wrapped.(driver.Error)
	return !inUse
}

// cause names the fault of a server or a connection, without the driver's text:
// that has addresses, and whatever a server has sent.
func cause(err error) string {
	var (
		errno       syscall.Errno
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		network     net.Error
		selection   topology.ServerSelectionError
		queue       topology.WaitQueueTimeoutError
		cleared     driver.RetryablePoolError
		server      driver.Error
	)
	switch {
	case errors.Is(err, mongo.ErrClientDisconnected):
		return "the client is disconnected"
	case errors.As(err, &selection):
		text := "no server that can be written to was found in time"
		for _, server := range selection.Desc.Servers {
			if server.LastError != nil {
				return text + ": " + cause(server.LastError)
			}
		}
		return text
	case errors.As(err, &queue):
		return "no connection was free in time"
	case errors.As(err, &cleared):
		return "the connections were closed after a fault, and there is no new one yet"
	case errors.Is(err, context.Canceled):
		return "the driver's context was canceled"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed by the other side"
	case errors.As(err, &dns):
		return "the name of the host was not resolved"
	case errors.As(err, &certificate):
		return "the server's certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case errors.As(err, &server) && server.Code != 0:
		return "error " + code(int(server.Code), server.Name)
	}
	return fmt.Sprintf("error of type %T", err)
}
