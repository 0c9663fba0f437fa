package mongokv

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// updated returns the keys of the documents of an update, in its order.
func updated(t *testing.T, command bson.Raw) (keys []string) {
	t.Helper()
	var c struct {
		Updates []struct {
			Q struct {
				ID string `bson:"_id"`
			}
		}
	}
	require.NoError(t, bson.Unmarshal(command, &c))
	for _, u := range c.Updates {
		keys = append(keys, u.Q.ID)
	}
	return keys
}

func batchOf(n int) map[string][]byte {
	kv := make(map[string][]byte, n)
	for i := range n {
		kv[fmt.Sprintf("k%04d", i)] = []byte{byte(i)}
	}
	return kv
}

func TestAgainstAFakeServerEveryCommandHasItsConcernAndADeadline(t *testing.T) {
	f := newFake(t, nil, func(name string, _ bson.Raw) bson.D {
		if name == "find" {
			return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{
				{Key: "id", Value: int64(0)}, {Key: "ns", Value: "holdfast.holdfast"}, {Key: "firstBatch", Value: bson.A{}}}}}
		}
		return fine
	})
	c, err := mongo.Connect(options.Client().ApplyURI(f.uri() + "&w=0&readPreference=secondary&readConcernLevel=local"))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Disconnect(t.Context())) }()
	kv, err := New(c, Config{})
	require.NoError(t, err)
	for _, o := range operations {
		if err := o.call(t.Context(), kv); !errors.Is(err, resilient.ErrNotFound) {
			require.NoError(t, err, o.name)
		}
	}
	require.NoError(t, kv.Close())
	for _, name := range []string{"update", "delete", "findAndModify"} {
		for _, command := range f.asked(name) {
			require.Equal(t, "majority", command.Lookup("writeConcern", "w").StringValue(), name)
			require.True(t, command.Lookup("writeConcern", "j").Boolean(), name)
			require.Positive(t, command.Lookup("maxTimeMS").AsInt64(), name)
			require.Empty(t, command.Lookup("$readPreference"), name)
		}
	}
	require.Len(t, f.asked("find"), 3)
	for _, command := range f.asked("find") {
		require.Equal(t, "majority", command.Lookup("readConcern", "level").StringValue())
		require.Positive(t, command.Lookup("maxTimeMS").AsInt64())
		require.Empty(t, command.Lookup("$readPreference"))
	}
}

func TestAgainstAFakeServerNothingIsSentTwiceWhateverTheClientIsSetTo(t *testing.T) {
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return nil })
	f.hello = f.primary() // a server on which the driver would try writes again
	c, err := mongo.Connect(options.Client().ApplyURI(f.uri()).SetRetryWrites(true).SetRetryReads(true))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Disconnect(t.Context())) }()
	kv, err := New(c, Config{})
	require.NoError(t, err)
	for name, call := range map[string]func() error{
		"update": func() error { return kv.SetRaw(t.Context(), "key", nil) },
		"delete": func() error { return kv.Delete(t.Context(), "key") },
		"find":   func() error { _, err := kv.GetRaw(t.Context(), "key"); return err },
	} {
		require.Eventually(t, func() bool { return !errors.Is(call(), resilient.ErrRefused) }, patience, 1, name)
		require.Len(t, f.asked(name), 1, name)
	}
	require.NoError(t, kv.Close())
}

func TestAgainstAFakeServerATransactionOfTheCallersHasNoPart(t *testing.T) {
	f := newFake(t, nil, nil)
	f.hello = f.primary()
	c, err := mongo.Connect(options.Client().ApplyURI(f.uri()))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Disconnect(t.Context())) }()
	kv, err := New(c, Config{})
	require.NoError(t, err)
	session, err := c.StartSession()
	require.NoError(t, err)
	defer session.EndSession(t.Context())
	require.NoError(t, session.StartTransaction())
	require.NoError(t, kv.SetRaw(mongo.NewSessionContext(t.Context(), session), "key", nil))
	sent := f.asked("update")
	require.Len(t, sent, 1)
	require.Empty(t, sent[0].Lookup("autocommit"))
	require.Empty(t, sent[0].Lookup("txnNumber"))
	require.NoError(t, kv.Close())
}

func TestAgainstAFakeServerABatchIsCutIntoSortedCommands(t *testing.T) {
	f := newFake(t, nil, nil)
	kv := open(t, f.uri(), Config{BatchKeys: 3})
	require.NoError(t, kv.BatchSetRaw(t.Context(), batchOf(7)))
	var keys []string
	for i, command := range f.asked("update") {
		part := updated(t, command)
		require.Len(t, part, []int{3, 3, 1}[i])
		keys = append(keys, part...)
	}
	require.Equal(t, []string{"k0000", "k0001", "k0002", "k0003", "k0004", "k0005", "k0006"}, keys)
}

func TestAgainstAFakeServerABatchThatHasBegunIsAmbiguousAsAWhole(t *testing.T) {
	var calls atomic.Int64
	var failsAt int64
	f := newFake(t, nil, func(string, bson.Raw) bson.D {
		if calls.Add(1) == failsAt {
			return failure(10107, "NotWritablePrimary")
		}
		return fine
	})
	kv := open(t, f.uri(), Config{BatchKeys: 2})
	keys := make([]string, 2*keysPerDelete)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%04d", i)
	}
	for name, batch := range map[string]func() error{
		"BatchSetRaw": func() error { return kv.BatchSetRaw(t.Context(), batchOf(4)) },
		"BatchDelete": func() error { return kv.BatchDelete(t.Context(), keys) },
	} {
		calls.Store(0)
		failsAt = 1
		requireClass(t, resilient.Refused, true, batch(), name)
		calls.Store(0)
		failsAt = 2
		requireClass(t, resilient.Failed, true, batch(), name)
		require.NotErrorIs(t, batch(), resilient.ErrRefused, name) // call 3 and 4
	}
}

func TestAgainstAFakeServerABatchThatEndsBetweenCommandsIsAmbiguous(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int64
	f := newFake(t, nil, func(string, bson.Raw) bson.D {
		if calls.Add(1) == 1 {
			return fine
		}
		cancel()
		return nil
	})
	kv := open(t, f.uri(), Config{BatchKeys: 1})
	err := kv.BatchSetRaw(ctx, batchOf(3))
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
}

// inTurn gives one of answers after the other.
func inTurn(answers *[]bson.D) func(string, bson.Raw) bson.D {
	return func(string, bson.Raw) bson.D {
		next := (*answers)[0]
		*answers = (*answers)[1:]
		return next
	}
}

func TestAgainstAFakeServerWhoLosesARaceTriesThoseKeysAgain(t *testing.T) {
	var answers []bson.D
	f := newFake(t, nil, inTurn(&answers))
	kv := open(t, f.uri(), Config{})
	keys := func() (sent [][]string) {
		for _, command := range f.asked("update") {
			sent = append(sent, updated(t, command))
		}
		f.mu.commands = nil
		return sent
	}

	// MongoDB tries all and says which one it was.
	answers = []bson.D{writeFailure(2, 1, duplicateKey), fine}
	require.NoError(t, kv.BatchSetRaw(t.Context(), batchOf(3)))
	require.Equal(t, [][]string{{"k0000", "k0001", "k0002"}, {"k0001"}}, keys())

	// FerretDB stops at the first and calls it 0, whichever it was.
	answers = []bson.D{writeFailure(0, 0, duplicateKey), fine}
	require.NoError(t, kv.BatchSetRaw(t.Context(), batchOf(3)))
	require.Equal(t, [][]string{{"k0000", "k0001", "k0002"}, {"k0000", "k0001", "k0002"}}, keys())

	// Another error beside it, and an index that is none.
	for _, index := range []int{-1, 3} {
		answers = []bson.D{writeFailure(2, index, duplicateKey)}
		requireClass(t, resilient.Failed, true, kv.BatchSetRaw(t.Context(), batchOf(3)), "an index of nothing")
	}
	f.mu.commands = nil

	for range attempts {
		answers = append(answers, writeFailure(0, 0, duplicateKey))
	}
	requireClass(t, resilient.Conflict, true, kv.SetRaw(t.Context(), "key", nil), "always")
	require.Len(t, keys(), attempts)
}

func TestRegression_ABatchOfWhichAPartWasStoredBeforeALostRaceWasRefused(t *testing.T) {
	var answers []bson.D
	f := newFake(t, nil, inTurn(&answers))
	kv := open(t, f.uri(), Config{})
	// The first try stores two of three, and the second, of the third alone, is refused.
	answers = []bson.D{writeFailure(2, 1, duplicateKey), failure(10107, "NotWritablePrimary")}
	err := kv.BatchSetRaw(t.Context(), batchOf(3))
	requireClass(t, resilient.Failed, true, err, "two are stored")
	require.NotErrorIs(t, err, resilient.ErrRefused)

	// A lone key that has lost the race is not stored.
	answers = []bson.D{writeFailure(0, 0, duplicateKey), failure(10107, "NotWritablePrimary")}
	requireClass(t, resilient.Refused, true, kv.SetRaw(t.Context(), "key", nil), "nothing is stored")
	answers = []bson.D{writeFailure(0, 0, duplicateKey), failure(10107, "NotWritablePrimary")}
	requireClass(t, resilient.Refused, true, kv.BatchSetRaw(t.Context(), batchOf(1)), "nothing is stored")
}

func TestTheLargestValueThatMayBeSetFits(t *testing.T) {
	kv, _ := server(t, Config{MaxValue: largestMaxValue, Timeout: patience})
	key := fmt.Sprintf("%0512d", 1)
	value := make([]byte, largestMaxValue)
	require.NoError(t, kv.SetRaw(t.Context(), key, value))
	require.ErrorIs(t, kv.SetRaw(t.Context(), key, make([]byte, largestMaxValue+1)), resilient.ErrValueTooLarge)
	got, err := kv.GetRaw(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, got, len(value))
	document, err := bson.Marshal(bson.D{{Key: "_id", Value: key}, {Key: "v", Value: bson.Binary{Data: value}}})
	require.NoError(t, err)
	require.LessOrEqual(t, len(document), 16<<20, "MongoDB's limit, which FerretDB does not check")
}

func TestDocumentsOfOthersAreNoKeys(t *testing.T) {
	s := servertest.FerretDB(t)
	kv := open(t, servertest.FerretDBURI(s), small(Config{}))
	others := client(t, servertest.FerretDBURI(s)).Database(defaultName).Collection(defaultName)
	_, err := others.InsertMany(t.Context(), []any{
		bson.D{{Key: "_id", Value: bson.NewObjectID()}},
		bson.D{{Key: "_id", Value: 42}},
		bson.D{{Key: "_id", Value: "with\nnewline"}},
		bson.D{{Key: "_id", Value: "text"}, {Key: "v", Value: "not binary"}},
		bson.D{{Key: "_id", Value: "none"}},
	})
	require.NoError(t, err)
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"none", "text"}, keys)
	for _, key := range keys {
		_, err := kv.GetRaw(t.Context(), key)
		requireClass(t, resilient.Invalid, false, err, key)
		_, err = kv.BatchGetRaw(t.Context(), []string{key})
		requireClass(t, resilient.Invalid, false, err, key)
		require.NoError(t, kv.SetRaw(t.Context(), key, []byte("mine")))
	}
}

func TestS30_WhatIsReturnedIsTheCallersAlone(t *testing.T) {
	s := servertest.FerretDB(t)
	var replies []bson.Raw // as a monitor keeps them
	c, err := mongo.Connect(options.Client().ApplyURI(servertest.FerretDBURI(s)).SetMonitor(&event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { replies = append(replies, e.Reply) },
	}))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Disconnect(t.Context())) }()
	kv, err := New(c, small(Config{}))
	require.NoError(t, err)
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
	one, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	many, err := kv.BatchGetRaw(t.Context(), []string{"key"})
	require.NoError(t, err)
	one[0], many["key"][0] = 'X', 'X'
	for _, reply := range replies {
		require.NotContains(t, string(reply), "Xalue")
	}
	require.NoError(t, kv.Close())
}
