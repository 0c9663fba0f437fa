package mongokv

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// fake is a server of MongoDB's protocol that answers what a test tells it to:
// FerretDB has no replica set, no rights and no errors on demand.
type fake struct {
	tb       testing.TB
	listener net.Listener
	// hello is added to the answer to that command.
	hello bson.D
	// answer returns the answer to any other command; nil = the connection is
	// closed instead.
	answer func(name string, command bson.Raw) bson.D
	// list returns the answer to listCollections; nil = the collection is there,
	// and plain.
	list func(command bson.Raw) bson.D

	all sync.WaitGroup
	mu  struct {
		sync.Mutex
		conns    []net.Conn
		commands []bson.Raw // all that answer was asked
		closed   bool
	}
}

var fine = bson.D{{Key: "n", Value: 1}, {Key: "ok", Value: 1}}

// selfVersion is in all that a fake says about itself. An error with the version
// that the driver knows already does not make it look at the server anew, which
// takes half a second.
var selfVersion = bson.E{Key: "topologyVersion", Value: bson.D{
	{Key: "processId", Value: bson.ObjectID{1}}, {Key: "counter", Value: int64(1)},
}}

// newFake starts a fake. A nil answer is fine for all commands.
func newFake(tb testing.TB, hello bson.D, answer func(name string, command bson.Raw) bson.D) *fake {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	if answer == nil {
		answer = func(string, bson.Raw) bson.D { return fine }
	}
	f := &fake{tb: tb, listener: l, hello: hello, answer: answer}
	f.all.Go(f.accept)
	tb.Cleanup(f.close)
	return f
}

// uri keeps the driver from waiting for news in an endless hello.
func (f *fake) uri() string {
	return "mongodb://" + f.listener.Addr().String() + "/?serverMonitoringMode=poll"
}

// asked returns the commands of that name so far.
func (f *fake) asked(name string) (commands []bson.Raw) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.mu.commands {
		if commandName(c) == name {
			commands = append(commands, c)
		}
	}
	return commands
}

func (f *fake) close() {
	_ = f.listener.Close()
	f.mu.Lock()
	f.mu.closed = true
	conns := slices.Clone(f.mu.conns)
	f.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	f.all.Wait()
}

func (f *fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.mu.conns = append(f.mu.conns, c)
		if f.mu.closed {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.all.Go(func() {
			defer c.Close()
			for f.serve(c) == nil {
			}
		})
	}
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// serve answers one message.
func (f *fake) serve(c net.Conn) error {
	header := make([]byte, 16)
	if _, err := io.ReadFull(c, header); err != nil {
		return err
	}
	body := make([]byte, binary.LittleEndian.Uint32(header)-16)
	if _, err := io.ReadFull(c, body); err != nil {
		return err
	}
	// Before the document OP_MSG has flags and a section's kind; OP_QUERY has
	// flags, a name and two numbers.
	op, skip := binary.LittleEndian.Uint32(header[12:]), 5
	if op == opQuery {
		skip = 4 + strings.IndexByte(string(body[4:]), 0) + 1 + 8
	}
	command := bson.Raw(body[skip:])
	answer := f.reply(commandName(command), command)
	if answer == nil {
		return io.EOF
	}
	document, err := bson.Marshal(answer)
	if err != nil {
		return err
	}
	var prefix []byte
	if op == opQuery {
		op = opReply
		prefix = append(make([]byte, 16), 1, 0, 0, 0) // flags, cursor, offset, one document
	} else {
		prefix = make([]byte, 5)
	}
	message := binary.LittleEndian.AppendUint32(nil, uint32(16+len(prefix)+len(document)))
	message = append(message, 0, 0, 0, 0)
	message = append(message, header[4:8]...) // the request that it answers
	message = binary.LittleEndian.AppendUint32(message, op)
	_, err = c.Write(slices.Concat(message, prefix, document))
	return err
}

func (f *fake) reply(name string, command bson.Raw) bson.D {
	switch strings.ToLower(name) {
	case "hello", "ismaster":
		answer := slices.Clone(f.hello)
		for _, e := range (bson.D{
			{Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "helloOk", Value: true},
			{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48000000},
			{Key: "maxWriteBatchSize", Value: 100000}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21},
			{Key: "ok", Value: 1}, selfVersion,
		}) {
			if !slices.ContainsFunc(f.hello, func(own bson.E) bool { return own.Key == e.Key }) {
				answer = append(answer, e)
			}
		}
		return answer
	case "listcollections":
		if f.list != nil {
			return f.list(command)
		}
		return made(bson.D{})
	case "endsessions", "killcursors":
		return fine
	}
	f.mu.Lock()
	f.mu.commands = append(f.mu.commands, command)
	f.mu.Unlock()
	return f.answer(name, command)
}

func commandName(command bson.Raw) string {
	first, err := command.IndexErr(0)
	if err != nil {
		return ""
	}
	return first.Key()
}

// made is the answer to listCollections if the collection was made with options.
func made(options bson.D) bson.D {
	return bson.D{selfVersion, {Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{
		{Key: "id", Value: int64(0)}, {Key: "ns", Value: defaultName + ".$cmd.listCollections"},
		{Key: "firstBatch", Value: bson.A{bson.D{
			{Key: "name", Value: defaultName}, {Key: "type", Value: "collection"}, {Key: "options", Value: options},
		}}},
	}}}
}

// primary is the hello of a replica set's primary, which has sessions.
func (f *fake) primary() bson.D {
	addr := f.listener.Addr().String()
	return bson.D{
		{Key: "setName", Value: "rs"}, {Key: "setVersion", Value: 1}, {Key: "hosts", Value: bson.A{addr}},
		{Key: "me", Value: addr}, {Key: "primary", Value: addr}, {Key: "logicalSessionTimeoutMinutes", Value: 30},
	}
}

// failure is the answer to a command that the server refuses.
func failure(code int, name string, labels ...string) bson.D {
	return bson.D{
		{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name},
		{Key: "errmsg", Value: "SECRET of key and value"}, {Key: "errorLabels", Value: labels}, selfVersion,
	}
}

// writeFailure is the answer to a command one of whose documents, at index, was
// not written, and the other stored ones were.
func writeFailure(stored, index, code int) bson.D {
	return bson.D{selfVersion, {Key: "ok", Value: 1}, {Key: "n", Value: stored}, {Key: "writeErrors", Value: bson.A{bson.D{
		{Key: "index", Value: index}, {Key: "code", Value: code}, {Key: "errmsg", Value: "SECRET of key and value"},
	}}}}
}

// concernFailure is the answer to a write that the primary has made and not
// enough others.
func concernFailure(code int, name string) bson.D {
	return bson.D{selfVersion, {Key: "ok", Value: 1}, {Key: "n", Value: 1}, {Key: "writeConcernError", Value: bson.D{
		{Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: "SECRET of key and value"},
	}}}
}
