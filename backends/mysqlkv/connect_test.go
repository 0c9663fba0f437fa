package mysqlkv

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestABlackHoleIsGivenUpAtTheDialTimeout(t *testing.T) {
	// It takes connections and says nothing.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	kv, err := Open(fmt.Sprintf("user:password@tcp(%s)/holdfast", listener.Addr()), Config{DialTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	for _, o := range operations(kv) {
		began := time.Now()
		err := endsWith(t, o, t.Context(), func() time.Time { return began.Add(100 * time.Millisecond) })
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: the caller's ctx has not ended", o.name)
	}
	require.NoError(t, kv.Close())
}

// panicking is a driver that cannot read what the server greets with.
type panicking struct{ driver.Connector }

func (panicking) Connect(context.Context) (driver.Conn, error) { panic("index out of range") }

func TestS28_APanicOfTheDriverWhileItConnectsIsAnError(t *testing.T) {
	c, err := (&connector{Connector: panicking{}, within: time.Second}).Connect(t.Context())
	require.Nil(t, c)
	require.EqualError(t, err, "no connection: the driver panicked")
	require.Equal(t, resilient.Refused, classify(err))
}

func TestAServerThatSpeaksNonsenseIsRefused(t *testing.T) {
	for name, greeting := range map[string][]byte{
		"another protocol":  []byte("-ERR unknown command\r\n"),
		"an end at once":    {},
		"an old protocol":   {2, 0, 0, 0, 9, 0},
		"zeros":             make([]byte, 100),
		"a wrong sequence":  {5, 0, 0, 9, 10, 'v', 0, 0, 0},
		"packets of 16 MiB": bytes.Repeat([]byte{0xff}, 100),
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write(greeting)
					_ = c.Close()
				}
			})
			kv, err := Open(fmt.Sprintf("user:password@tcp(%s)/holdfast", listener.Addr()), Config{})
			require.NoError(t, err)
			require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
			require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused)
			require.NoError(t, kv.Close())
			require.NoError(t, listener.Close())
			serving.Wait()
		})
	}
}
