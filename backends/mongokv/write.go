package mongokv

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// A command may have 16 MiB; a value may need nearly all of it, and goes
	// alone then.
	bytesPerWrite = 8 << 20
	keysPerDelete = 4000 // see keysPerRead
	// attempts is how often a write is tried whose document came and went
	// between the server's look and its insert, which takes two other writers
	// of the same key each time.
	attempts = 16
)

// acknowledged is the write concern: a write is acknowledged when a majority of
// the servers has it in its journal, so that no failover rolls it back. On a
// server that stands alone it is the one journal.
var acknowledged = bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}}}

// SetRaw stores value. The driver makes its own copy of it before it is sent.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	if _, err := k.set(ctx, []guard.Entry{{Key: key, Value: value}}); err != nil {
		return explain(ctx, true, err)
	}
	return nil
}

// Delete removes key.
func (k *KV) Delete(ctx context.Context, key string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	if err := k.remove(ctx, key, 1); err != nil {
		return explain(ctx, true, err)
	}
	return nil
}

// BatchSetRaw stores all values, in commands of at most Config.BatchKeys keys
// and about 8 MiB. It is not atomic: each document is, and if it fails after the first
// command was sent, any of them may have been stored.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil {
		return err
	}
	begun := false
	for chunk := range guard.Chunks(kv, k.cfg.BatchKeys, bytesPerWrite) {
		if some, err := k.set(ctx, chunk); err != nil {
			return explainPart(ctx, begun || some, err)
		}
		begun = true
	}
	return nil
}

// BatchDelete removes all keys, in commands of at most 4000. What BatchSetRaw
// says about failures holds here too.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return err
	}
	begun := false
	for chunk := range guard.KeyChunks(keys, keysPerDelete) {
		if err := k.remove(ctx, oneOf(chunk), 0); err != nil {
			return explainPart(ctx, begun, err)
		}
		begun = true
	}
	return nil
}

// remove deletes the documents whose _id meets the condition, limit of them at
// most; 0 = all.
func (k *KV) remove(ctx context.Context, condition any, limit int) error {
	_, err := k.run(ctx, bson.D{
		{Key: "delete", Value: k.cfg.Namespace},
		{Key: "deletes", Value: bson.A{bson.D{
			{Key: "q", Value: bson.D{{Key: "_id", Value: condition}}},
			{Key: "limit", Value: limit},
		}}},
		acknowledged,
	})
	return err
}

// set replaces or inserts the documents of all entries with one command.
//
// Two writers that both find no document insert it both, and one of them is
// told that it is there already. Nothing was applied for that one: its write is
// tried again, and replaces the document now. some reports that others of the
// entries may have been stored by then, whatever err says of the last try.
func (k *KV) set(ctx context.Context, entries []guard.Entry) (some bool, err error) {
	for range attempts {
		if err = k.update(ctx, entries); err == nil {
			return some, nil
		}
		again, left := lostTheRace(err, entries)
		if !left {
			return some, err
		}
		some = some || len(entries) > 1
		entries = again
	}
	return some, err
}

func (k *KV) update(ctx context.Context, entries []guard.Entry) error {
	updates := make(bson.A, 0, len(entries))
	for _, e := range entries {
		updates = append(updates, bson.D{
			{Key: "q", Value: bson.D{{Key: "_id", Value: e.Key}}},
			{Key: "u", Value: bson.D{{Key: "v", Value: bson.Binary{Data: e.Value}}}},
			{Key: "upsert", Value: true},
		})
	}
	_, err := k.run(ctx, bson.D{
		{Key: "update", Value: k.cfg.Namespace},
		{Key: "updates", Value: updates},
		{Key: "ordered", Value: false},
		acknowledged,
	})
	return err
}

// lostTheRace returns those of entries that were not stored because somebody
// else inserted the same key at the same moment; ok is false if err says
// anything else.
func lostTheRace(err error, entries []guard.Entry) (again []guard.Entry, ok bool) {
	var failed mongo.WriteException
	if !errors.As(err, &failed) || failed.WriteConcernError != nil || len(failed.WriteErrors) == 0 {
		return nil, false
	}
	for _, w := range failed.WriteErrors {
		if w.Code != duplicateKey || w.Index < 0 || w.Index >= len(entries) {
			return nil, false
		}
		again = append(again, entries[w.Index])
	}
	stored, _ := failed.Raw.Lookup("n").AsInt64OK()
	if int(stored)+len(again) != len(entries) {
		// A server that stops at the first error, and FerretDB does not tell
		// which one it was.
		return entries, true
	}
	return again, true
}
