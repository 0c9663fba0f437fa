package mongokv

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// keysPerRead bounds how many keys one find asks for: with the longest
	// keys it is 2 MiB of the 16 MiB that a command may have.
	keysPerRead = 4000
	// page is how many documents an answer may have. The server ends it
	// earlier when it has 16 MiB.
	page = 10000
)

var (
	// errNotBinary is a document of somebody else's in the collection.
	errNotBinary = errors.New("the document's field v is not binary")
	errAnswer    = errors.New("the server's answer is not what the command is answered with")
)

// concern is the read concern: what a majority of the servers has, so that it
// cannot be rolled back.
var concern = bson.E{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}}

// GetRaw returns the value of key.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	answer, err := k.run(ctx, bson.D{
		{Key: "find", Value: k.cfg.Namespace},
		{Key: "filter", Value: bson.D{{Key: "_id", Value: key}}},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
		concern,
	})
	if err != nil {
		return nil, explain(ctx, false, err)
	}
	value, err := firstValue(answer)
	if err != nil && !errors.Is(err, resilient.ErrNotFound) {
		return nil, explain(ctx, false, err)
	}
	return value, err
}

// firstValue returns a copy of the value in the only document of an answer, or
// resilient.ErrNotFound if it has none.
func firstValue(answer bson.Raw) ([]byte, error) {
	batch, ok := answer.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return nil, errAnswer
	}
	first, err := batch.IndexErr(0)
	if err != nil {
		return nil, resilient.ErrNotFound
	}
	document, ok := first.DocumentOK()
	if !ok {
		return nil, errAnswer
	}
	return valueOf(document)
}

// valueOf returns a copy of the value in a document: a monitor of a borrowed
// client may have kept the answer.
func valueOf(document bson.Raw) ([]byte, error) {
	_, data, ok := document.Lookup("v").BinaryOK()
	if !ok {
		return nil, errNotBinary
	}
	return append(make([]byte, 0, len(data)), data...), nil
}

// List returns the keys with prefix. It is not of one moment: a key that is
// written or deleted meanwhile is in it or not.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	keys := []string{}
	condition, ok := keysWith(prefix)
	if !ok {
		return keys, nil
	}
	err = k.find(ctx, condition, bson.D{{Key: "_id", Value: 1}}, func(document bson.Raw) error {
		key, ok := document.Lookup("_id").StringValueOK()
		if ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, strings.Clone(key))
		}
		return nil
	})
	if err != nil {
		return nil, explain(ctx, false, err)
	}
	keys = guard.Listed(keys) // without the canary
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// BatchGetRaw returns the values that are there. They are not of one moment.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	for chunk := range guard.KeyChunks(keys, keysPerRead) {
		err := k.find(ctx, oneOf(chunk), bson.D{{Key: "v", Value: 1}}, func(document bson.Raw) error {
			key, ok := document.Lookup("_id").StringValueOK()
			if !ok {
				return errAnswer
			}
			value, err := valueOf(document)
			found[strings.Clone(key)] = value
			return err
		})
		if err != nil {
			return nil, explain(ctx, false, err)
		}
	}
	return found, nil
}

// oneOf returns the condition on _id that the given keys meet, which are sorted.
// The range adds nothing but speed: a server that walks through the collection
// compares each document with all keys otherwise.
func oneOf(sorted []string) bson.D {
	return bson.D{
		{Key: "$gte", Value: sorted[0]},
		{Key: "$lte", Value: sorted[len(sorted)-1]},
		{Key: "$in", Value: sorted},
	}
}

// find calls fn with each document whose _id meets the condition. A document is
// valid until fn returns.
func (k *KV) find(ctx context.Context, condition, fields bson.D, fn func(document bson.Raw) error) error {
	if err := k.meet(ctx); err != nil {
		return err
	}
	cursor, err := k.db.RunCommandCursor(ctx, bson.D{
		{Key: "find", Value: k.cfg.Namespace},
		{Key: "filter", Value: bson.D{{Key: "_id", Value: condition}}},
		{Key: "projection", Value: fields},
		{Key: "batchSize", Value: page},
		concern,
	})
	if err != nil {
		return err
	}
	// The server forgets the cursor when it has been read to its end, and
	// after ten minutes; Close asks it to if ctx allows.
	defer func(cursor *mongo.Cursor) { _ = cursor.Close(ctx) }(cursor)
	cursor.SetBatchSize(page)
	for cursor.Next(ctx) {
		if err := fn(cursor.Current); err != nil {
			return err
		}
	}
	return cursor.Err()
}
