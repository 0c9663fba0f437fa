package mongokv

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/holdfastkv/holdfast/internal/classtest"
	"github.com/holdfastkv/holdfast/resilient"
)

func FuzzARangeHoldsTheKeysWithThePrefix(f *testing.F) {
	f.Fuzz(func(t *testing.T, prefix, other string) {
		condition, ok := keysWith(prefix)
		for _, key := range []string{other, prefix, prefix + other, other + prefix} {
			if resilient.CheckKey(key) != nil {
				continue
			}
			has := strings.HasPrefix(key, prefix)
			if !ok {
				require.False(t, has, "%q", key)
				continue
			}
			inside := true
			for _, bound := range condition {
				value := bound.Value.(string)
				require.True(t, utf8.ValidString(value), "BSON would change it")
				inside = inside && (bound.Key == "$gte" && key >= value || bound.Key == "$lt" && key < value)
			}
			if has {
				require.True(t, inside, "%q", key)
			} else if utf8.ValidString(prefix) {
				require.False(t, inside, "%q", key)
			}
		}
	})
}

// What MongoDB forbids or gives a meaning: see "MongoDB Limits and Thresholds"
// in its manual.
func FuzzANameIsNoneThatMongoDBForbids(f *testing.F) {
	f.Fuzz(func(t *testing.T, database, collection string) {
		if (Config{Database: database, Namespace: collection}).validate() != nil {
			return
		}
		for _, name := range []string{database, collection} {
			require.False(t, strings.ContainsAny(name, "/\\. \"$*<>:|?\x00"))
			require.Less(t, len(name), 64)
		}
		require.NotEmpty(t, collection)
	})
}

func FuzzClassify(f *testing.F) {
	command := func(code int, text string, labels ...string) error {
		return mongo.CommandError{Code: int32(code), Message: text, Labels: labels}
	}
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			command(10107, text), command(11600, text), command(112, text), command(2, text), command(len(text), text),
			command(0, text, "NetworkError"), command(91, text, "NoWritesPerformed"), command(462, text, "SystemOverloadedError"),
			mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 121, Message: text}}},
			mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 112}, {Code: 11600}}},
			mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 91, Message: text}},
			topology.ServerSelectionError{Wrapped: io.EOF}, topology.ConnectionError{Wrapped: syscall.ECONNRESET},
			driver.Error{Code: 11602, Message: text}, mongo.ErrClientDisconnected, explain(context.Background(), true, io.EOF),
		}
	})
}

// URIs that are taken are not opened: the driver would dial them. One with a
// name in the DNS would be looked up.
func FuzzNoURIIsShown(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		uri := before + "SECRET" + after
		if strings.Contains(strings.ToLower(uri), "+srv") {
			return
		}
		cfg := Config{}.withDefaults()
		_, database, err := clientOptions(uri, cfg)
		if err == nil {
			require.Regexp(t, name, database)
			return
		}
		kv, err := Open(uri, Config{})
		require.Error(t, err)
		require.Nil(t, kv)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "SECRET")
	})
}
