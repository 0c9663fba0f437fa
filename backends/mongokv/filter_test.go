package mongokv

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/holdfastkv/holdfast/resilient"
)

// TestS7_AgainstAFakeServerAKeyIsAStringWhereverItIsSent: nothing in a key is
// an operator, or a document.
func TestS7_AgainstAFakeServerAKeyIsAStringWhereverItIsSent(t *testing.T) {
	f := newFake(t, nil, func(name string, _ bson.Raw) bson.D {
		if name == "find" {
			return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{
				{Key: "id", Value: int64(0)}, {Key: "ns", Value: "holdfast.holdfast"}, {Key: "firstBatch", Value: bson.A{}}}}}
		}
		return fine
	})
	kv := open(t, f.uri(), Config{})
	for _, key := range []string{"$gt", "$where", `{"$ne": null}`, "{$gt: ''}", "a.b", "$", "_id"} {
		for _, err := range []error{
			second(kv.GetRaw(t.Context(), key)), kv.SetRaw(t.Context(), key, []byte(key)), kv.Delete(t.Context(), key),
			second(kv.BatchGetRaw(t.Context(), []string{key})), kv.BatchSetRaw(t.Context(), map[string][]byte{key: nil}),
			kv.BatchDelete(t.Context(), []string{key}), second(kv.List(t.Context(), key)),
		} {
			if !errors.Is(err, resilient.ErrNotFound) {
				require.NoError(t, err)
			}
		}
		sent := 0
		for _, name := range []string{"find", "update", "delete"} {
			for _, command := range f.asked(name) {
				sent += keysIn(t, command, key)
			}
		}
		require.GreaterOrEqual(t, sent, 7, "each call has sent %q", key)
	}
}

func second[T any](_ T, err error) error { return err }

// keysIn returns how often a command has key as a string, and fails if it is
// the name of a field, but for those that every command has.
func keysIn(t *testing.T, document bson.Raw, key string) (n int) {
	t.Helper()
	elements, err := document.Elements()
	require.NoError(t, err)
	for _, e := range elements {
		require.True(t, e.Key() != key || key == "_id", "%q is a field's name", key)
		value := e.Value()
		if text, ok := value.StringValueOK(); ok && text == key {
			n++
		}
		if inner, ok := value.DocumentOK(); ok {
			n += keysIn(t, inner, key)
		}
		if inner, ok := value.ArrayOK(); ok {
			n += keysIn(t, bson.Raw(inner), key)
		}
	}
	return n
}
