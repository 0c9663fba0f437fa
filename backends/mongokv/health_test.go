package mongokv

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestAgainstAFakeServerHealthFailsIfTheServerIsNoWritablePrimary(t *testing.T) {
	for name, hello := range map[string]bson.D{
		"a secondary":        {{Key: "isWritablePrimary", Value: false}, {Key: "ismaster", Value: false}, {Key: "secondary", Value: true}, {Key: "setName", Value: "rs"}},
		"nothing of a set":   {{Key: "isWritablePrimary", Value: false}, {Key: "ismaster", Value: false}},
		"a read-only server": {{Key: "readOnly", Value: true}},
		"no answer to it":    {{Key: "isWritablePrimary", Value: "yes"}, {Key: "ismaster", Value: true}},
	} {
		f := newFake(t, hello, nil)
		for _, mode := range []string{"&directConnection=true", ""} {
			kv := open(t, f.uri()+mode, Config{DialTimeout: 100 * 1e6})
			require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused, name)
		}
	}
	require.NoError(t, open(t, newFake(t, nil, nil).uri(), Config{}).Health(t.Context()))
}

func TestAgainstAFakeServerHealthFailsIfTheWritePathDoes(t *testing.T) {
	for name, answer := range map[string]bson.D{
		"no rights":   failure(13, "Unauthorized"),
		"no majority": concernFailure(64, "WriteConcernTimeout"),
		"stepdown":    failure(189, "PrimarySteppedDown"),
		"cut":         nil,
	} {
		f := newFake(t, nil, func(string, bson.Raw) bson.D { return answer })
		require.ErrorIs(t, open(t, f.uri(), Config{}).Health(t.Context()), resilient.ErrUnavailable, name)
	}
}

func TestAgainstAFakeServerHealthHasTwoRoundTrips(t *testing.T) {
	f := newFake(t, nil, nil)
	kv := open(t, f.uri(), Config{})
	for range 10 {
		require.NoError(t, kv.Health(t.Context()))
	}
	require.Len(t, f.asked("findAndModify"), 10)
	require.Len(t, f.mu.commands, 10, "and hello")
}

func TestACanaryIsWrittenAndNeverSeen(t *testing.T) {
	s := servertest.FerretDB(t)
	uri := servertest.FerretDBURI(s)
	collection := client(t, uri).Database(defaultName).Collection(defaultName)
	written := func() []byte {
		var document struct{ V []byte }
		require.NoError(t, collection.FindOne(t.Context(), bson.D{{Key: "_id", Value: reserved}}).Decode(&document))
		return document.V
	}
	plain := open(t, uri, small(Config{}))
	require.NoError(t, plain.Health(t.Context()))
	count, err := collection.CountDocuments(t.Context(), bson.D{})
	require.NoError(t, err)
	require.Zero(t, count)

	kv := open(t, uri, small(Config{Canary: true}))
	require.NoError(t, kv.Health(t.Context()))
	first := written()
	require.NoError(t, kv.Health(t.Context()))
	require.NotEqual(t, first, written(), "what is there already is not written")
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	for prefix, want := range map[string][]string{"": {"key"}, reserved: {}, reserved[:1]: {}, "k": {"key"}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys, "%q", prefix)
	}
	_, err = kv.GetRaw(t.Context(), reserved)
	require.ErrorIs(t, err, resilient.ErrInvalidKey)

	require.NoError(t, plain.Health(t.Context()), "which removes it")
	count, err = collection.CountDocuments(t.Context(), bson.D{{Key: "_id", Value: reserved}})
	require.NoError(t, err)
	require.Zero(t, count)
}
