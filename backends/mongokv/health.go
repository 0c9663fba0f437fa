package mongokv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/holdfastkv/holdfast/resilient"
)

// reserved is the _id of the library's own document. It begins with a control
// character, so that no key is like it.
const reserved = "\x01holdfast:health"

var errReadOnly = errors.New("the server is not a primary that can be written to")

// Health returns nil if the server says that it is a writable primary and then
// finds and removes, with the write concern of every write, a document that is
// not there: a command that needs the rights to read and to write the
// collection, and is answered when a majority of the servers has acknowledged
// it, but changes nothing. With Config.Canary the document is written instead.
//
// These are two round trips, whatever is stored, and one more for the first
// contact. The second proves what the first claims; the first is what a server
// says that can be read but not written, or is about to stop.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	answer, err := k.run(ctx, bson.D{{Key: "hello", Value: 1}})
	if err != nil {
		return explain(ctx, false, err)
	}
	writable, _ := answer.Lookup("isWritablePrimary").BooleanOK()
	readOnly, _ := answer.Lookup("readOnly").BooleanOK()
	if !writable || readOnly {
		return fmt.Errorf("mongokv: %w: %w", resilient.ErrRefused, errReadOnly)
	}
	if err := k.prove(ctx); err != nil {
		return explain(ctx, false, err)
	}
	return nil
}

// prove reads and writes the reserved document. Two checks that both make it
// are no failure: see set.
func (k *KV) prove(ctx context.Context) error {
	change := bson.D{{Key: "remove", Value: true}}
	if k.cfg.Canary {
		// MongoDB does not write what is there already.
		change = bson.D{
			{Key: "update", Value: bson.D{{Key: "v", Value: bson.Binary{Data: []byte(rand.Text())}}}},
			{Key: "upsert", Value: true},
		}
	}
	command := append(bson.D{
		{Key: "findAndModify", Value: k.cfg.Namespace},
		{Key: "query", Value: bson.D{{Key: "_id", Value: reserved}}},
		acknowledged,
	}, change...)
	var err error
	for range attempts {
		if _, err = k.run(ctx, command); !hasCode(err, duplicateKey) {
			return err
		}
	}
	return err
}
