package servertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

var ferretDB = program{variable: "HOLDFAST_FERRETDB", name: "ferretdb"}

// FerretDB starts a FerretDB, which speaks MongoDB's protocol and keeps its
// data in SQLite files. SQLite syncs each commit to the disk before the server
// answers. Further flags are given as on its command line: with "-cert" and
// "-key" it speaks inside TLS only.
func FerretDB(tb testing.TB, flags ...string) *Server {
	tb.Helper()
	ready := ferretReady
	if slices.Contains(flags, "-cert") {
		ready = accepts
	}
	return start(tb, spec{
		name:    "ferretdb",
		program: ferretDB.find(tb),
		args: func(dir string, port int) []string {
			return append([]string{"-addr", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "-dir", dir}, flags...)
		},
		ready: ready,
		stop:  syscall.SIGTERM,
	})
}

// FerretDBURI returns the URI of a server that FerretDB started.
func FerretDBURI(s *Server) string { return "mongodb://" + s.Addr() + "/" }

// accepts finds that somebody listens.
func accepts(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// ferretReady asks for the answer to a ping.
func ferretReady(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	// OP_MSG with one document: {ping: 1, $db: "admin"}.
	doc := "\x10ping\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"
	doc = string(binary.LittleEndian.AppendUint32(nil, uint32(4+len(doc)))) + doc
	const header, opMsg = 16, 2013
	var msg []byte
	for _, field := range []uint32{uint32(header + 4 + 1 + len(doc)), 1, 0, opMsg, 0} {
		msg = binary.LittleEndian.AppendUint32(msg, field)
	}
	msg = append(append(msg, 0), doc...)
	if _, err := c.Write(msg); err != nil {
		return err
	}
	answer := make([]byte, header)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if code := binary.LittleEndian.Uint32(answer[12:]); code != opMsg {
		return fmt.Errorf("it answers with operation %d: %w", code, os.ErrInvalid)
	}
	return nil
}
