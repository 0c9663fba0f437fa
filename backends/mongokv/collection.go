package mongokv

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

var (
	errCollation = errors.New("the collection has a collation of its own: keys would be taken for each other")
	errCapped    = errors.New("the collection is capped: the server would drop what it has acknowledged")
)

// unmet is why a call ended before anything of it was sent: the collection could
// not be looked at, or is not fit.
type unmet struct{ err error }

func (u *unmet) Error() string { return "first contact: " + describe(u.err) }
func (u *unmet) Unwrap() error { return u.err }

// meet is the first contact: a look at how the collection was made. It is made
// anew until the collection is there and found to be fit. A server that does not
// tell, or not this user, is believed. Its error is an *unmet.
func (k *KV) meet(ctx context.Context) error {
	if k.met.Load() {
		return nil
	}
	answer, err := k.db.RunCommand(ctx, bson.D{
		{Key: "listCollections", Value: 1},
		{Key: "filter", Value: bson.D{{Key: "name", Value: k.cfg.Namespace}}},
	}).Raw()
	var refused mongo.CommandError
	switch {
	case errors.As(err, &refused) && refused.Code != 0:
		k.met.Store(!passes(int(refused.Code)))
		return nil // what is wrong with the server it will tell the call
	case err != nil:
		return &unmet{err}
	}
	there, err := fit(answer)
	if err != nil {
		return &unmet{err}
	}
	if there {
		k.met.Store(true)
	}
	return nil
}

// passes reports whether a server that answers with code may answer otherwise
// later: it is not the command that it does not take, nor the user.
func passes(code int) bool {
	_, known := classes[code]
	return known && code != unauthorized && code != atlasError && code != badValue && code != failedToParse
}

// fit returns what is wrong with the collection in an answer of listCollections;
// there is false if the answer has none, true if it is no such answer.
func fit(answer bson.Raw) (there bool, err error) {
	batch, ok := answer.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return true, nil
	}
	first, err := batch.IndexErr(0)
	if err != nil {
		return false, nil
	}
	collection, ok := first.DocumentOK()
	if !ok {
		return true, nil
	}
	if capped, _ := collection.Lookup("options", "capped").BooleanOK(); capped {
		return true, errCapped
	}
	locale, ok := collection.Lookup("options", "collation", "locale").StringValueOK()
	if ok && locale != "simple" { // which is no collation
		return true, errCollation
	}
	return true, nil
}
