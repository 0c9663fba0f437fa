package mongokv

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/holdfastkv/holdfast/resilient"
)

// lister is a fake that answers listCollections as told, and counts how often.
type lister struct {
	*fake
	with  atomic.Pointer[bson.D] // nil = the connection is closed
	looks atomic.Int64
}

func newLister(t *testing.T, with bson.D) *lister {
	t.Helper()
	l := &lister{fake: newFake(t, nil, nil)}
	l.answerWith(with)
	l.list = func(bson.Raw) bson.D {
		l.looks.Add(1)
		return *l.with.Load()
	}
	return l
}

func (l *lister) answerWith(with bson.D) { l.with.Store(&with) }

// firstBatch is an answer to listCollections with these entries.
func firstBatch(entries ...any) bson.D {
	return bson.D{selfVersion, {Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: append(bson.A{}, entries...)}}}}
}

func TestRegression_AgainstAFakeServerACollectionThatMixesKeysUpWasUsed(t *testing.T) {
	for says, options := range map[string]bson.D{
		"collation of its own": {{Key: "collation", Value: bson.D{{Key: "locale", Value: "en"}, {Key: "strength", Value: 2}}}},
		"capped":               {{Key: "capped", Value: true}, {Key: "size", Value: 4096}},
	} {
		l := newLister(t, made(options))
		kv := open(t, l.uri(), Config{})
		for _, o := range operations {
			err := o.call(t.Context(), kv)
			requireClass(t, resilient.Refused, o.writes, err, o.name)
			require.ErrorContains(t, err, says, o.name)
		}
		require.Empty(t, l.mu.commands, "nothing else was sent")

		l.answerWith(made(bson.D{})) // somebody has made it anew
		require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
		require.NoError(t, kv.Health(t.Context()))
		require.EqualValues(t, len(operations)+1, l.looks.Load())
	}
}

func TestAgainstAFakeServerTheCollectionIsLookedAtUntilItIsThere(t *testing.T) {
	l := newLister(t, firstBatch())
	kv := open(t, l.uri(), Config{})
	for range 3 {
		require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	}
	require.EqualValues(t, 3, l.looks.Load())
	l.answerWith(made(bson.D{{Key: "collation", Value: bson.D{{Key: "locale", Value: "simple"}}}, {Key: "capped", Value: false}}))
	for range 3 {
		require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	}
	require.EqualValues(t, 4, l.looks.Load())
}

func TestAgainstAFakeServerThatDoesNotTellTheCollectionIsBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		answer bson.D
		looks  int // of two calls
	}{
		"no right to it":        {failure(13, "Unauthorized"), 1},
		"no right, Atlas":       {failure(8000, "AtlasError"), 1},
		"no such command":       {failure(59, "CommandNotFound"), 1},
		"another form of it":    {failure(9, "FailedToParse"), 1},
		"other values in it":    {failure(2, "BadValue"), 1},
		"no cursor":             {fine, 1},
		"no document":           {firstBatch("holdfast"), 1},
		"no options":            {firstBatch(bson.D{{Key: "name", Value: defaultName}}), 1},
		"it is stepping down":   {failure(11602, "InterruptedDueToReplStateChange"), 2},
		"it is no primary":      {failure(10107, "NotWritablePrimary"), 2},
		"it has no time for it": {failure(50, "MaxTimeMSExpired"), 2},
	} {
		l := newLister(t, c.answer)
		kv := open(t, l.uri(), Config{})
		for range 2 {
			_, err := kv.List(t.Context(), "")
			require.ErrorIs(t, err, resilient.ErrUnavailable, "%s: the fake's find has no cursor", name)
			require.NotErrorIs(t, err, resilient.ErrRefused, name)
		}
		require.Len(t, l.asked("find"), 2, name)
		require.EqualValues(t, c.looks, l.looks.Load(), name)
	}
}

func TestAgainstAFakeServerACallWithoutItsFirstContactIsRefused(t *testing.T) {
	l := newLister(t, nil)
	for _, o := range operations {
		kv := open(t, l.uri(), Config{})
		requireClass(t, resilient.Refused, o.writes, o.call(t.Context(), kv), o.name)
	}
	require.Empty(t, l.mu.commands)
}

func TestACollectionIsLookedAtNoMoreOnceItIsThere(t *testing.T) {
	kv, _ := server(t, Config{})
	require.NoError(t, kv.Health(t.Context()))
	require.False(t, kv.met.Load(), "a check makes no collection")
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	_, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.True(t, kv.met.Load())
}
