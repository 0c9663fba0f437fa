package mongokv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/version"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	const noReplicaSet = "FerretDB has no replica sets and Debian no MongoDB; tested against a fake server"
	used := func(tb testing.TB) (*KV, *servertest.Server) {
		kv, s := server(tb, Config{})
		require.NoError(tb, kv.Health(tb.Context())) // connects
		return kv, s
	}
	after := func(sicken func(s *servertest.Server)) func(tb testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			kv, s := used(tb)
			sicken(s)
			return kv
		}
	}
	compattest.Run(t, compattest.Section{
		Backend:  "mongokv",
		Versions: "mongo-driver v" + version.Driver + " and FerretDB v1.24.0 (SQLite); not yet with MongoDB itself",
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, 15 MiB by default, 16 MiB - 1 KiB at most"},
			{Name: "Keys refused", Text: "none of the contract's domain"},
			{Name: "A batch", Text: "is not atomic: each document is"},
			{Name: "An acknowledged write survives", Text: "what the server's journal survives, and a failover: `w: majority, j: true` is in each write, whatever the URI says. " +
				"FerretDB syncs SQLite's log at each commit; a kill loses nothing"},
			{Name: "Reads", Text: "`readConcern: majority` from the primary. A primary that has been replaced and does not know it yet may answer with what was true before, for at most 10 s"},
			{Name: "Set on the driver", Text: "no retries of any kind, server selection and connect timeouts of 1 s (30 s), a timeout for each call (none), primary read preference"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth { kv, _ := used(tb); return kv }},
			{Name: "killed (SIGKILL)", Produce: after((*servertest.Server).Kill)},
			{Name: "frozen (SIGSTOP)", Produce: after((*servertest.Server).Freeze)},
			{Name: "restarted, once a call has found out", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, s := used(tb)
				s.Kill()
				s.Start()
				// The call that finds the old connection closed, and perhaps one more.
				require.Eventually(tb, func() bool { return kv.Health(tb.Context()) == nil }, patience, 10*time.Millisecond)
				return kv
			}},
			{Name: "never reached", Produce: func(tb testing.TB) resilient.KVWithHealth {
				return open(tb, "mongodb://127.0.0.1:1/", Config{})
			}},
			{Name: "wrong credentials", Produce: func(tb testing.TB) resilient.KVWithHealth {
				_, s := used(tb)
				return open(tb, "mongodb://nobody:wrong@"+s.Addr()+"/", small(Config{}))
			}},
			{Name: "no right to the collection", NotProduced: "FerretDB's handler for SQLite knows no rights; tested against a fake server"},
			{Name: "not primary", NotProduced: noReplicaSet},
			{Name: "no majority", NotProduced: noReplicaSet},
			{Name: "stepping down", NotProduced: noReplicaSet},
		},
	})
}
