// Package mongokv keeps a store in one collection of a MongoDB.
//
//	kv, err := mongokv.Open("mongodb://localhost:27017/app", mongokv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Every key is a document {_id: key, v: value} of the collection
// Config.Namespace in the database Config.Database; _id is a string and v
// binary. MongoDB makes both names with the first write. Strings compare by
// their bytes unless the collection was made with a collation of its own: then,
// and if it is capped, every call is refused. The first call asks
// (listCollections), and later ones do until the collection is there; where the
// server does not tell this user, nothing is refused. Documents with another _id are left alone; one whose v is not
// binary is an error to read (resilient.Invalid) and is replaced by a write.
// With Config.Canary there is one document more, whose _id begins with a control
// character.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; names with anything but letters, digits, underscores and
// hyphens. The key is only ever a BSON string: no operator and no pattern can be
// made of it.
//
// # Reads and writes
//
// Each call is one or more commands to the primary, which carry their own
// concerns, whatever the URI or the client says. Writes have w: majority and j:
// true: an acknowledged one is in the journals of a majority, and no failover
// rolls it back. A write that the primary has made and too few others have is
// ambiguous. Reads have readConcern majority: what they find cannot be rolled
// back. A primary that was cut off and does not know yet that there is another
// one may answer a client that has not heard of it either with what was true
// before, for at most electionTimeoutMillis (10 s). A driver that has heard of the
// new one, as by a write that it acknowledged, does not go back to the old one.
//
// The time that is left goes to the server with each command (maxTimeMS), which
// then gives up too. What has been sent to a server that hangs is done when it
// wakes.
//
// A batch is not atomic: each document is. BatchSetRaw sends unordered updates,
// BatchDelete and BatchGetRaw name the keys ($in), List walks the index of _id.
// A batch that fails after its first command was sent is ambiguous as a whole.
// Of two writers that insert the same key at once MongoDB may tell one that the
// key is there (11000): nothing was applied, and that write is sent again, 16
// times at most. It is the only one that is.
//
// # Health
//
// Health asks for hello and then finds and removes, with the concern of every
// write, a document that is not there. That fails on a server that is no
// primary, has no majority behind it, hangs, or does not let this user read and
// write the collection, and changes nothing. What refuses only new data (a full
// disk, setUserWriteBlockMode, a validator) is found with Config.Canary.
//
// # What is set on the driver
//
// No retries of any kind: the error of the last try says nothing about the
// first. Commands that are run as such are not tried again even if a borrowed
// client is set to retry; only what a borrowed client's MaxAdaptiveRetries says
// about overloaded servers, which have applied nothing, holds. Timeouts for
// connecting and for selecting a server of 1 s (the driver's are 30 s), a
// timeout for each operation (the driver has none), read preference primary. The
// driver's transactions are not for this store: a session in ctx is ignored.
//
// A server that was restarted is found out by the first call on an old
// connection, which fails, a write as ambiguous; all connections are made anew
// then. A MongoDB that closes its connections is found out at once.
//
// Open connects in the background. A mongodb+srv URI is looked up in the DNS
// before Open returns, which takes as long as the resolver does.
//
// # Errors
//
// The text of an error has the server's codes and their names, or the kind of
// the fault. The driver's own, whose text may quote keys and values, is reachable
// with errors.As. Missing rights and refused credentials are of the class
// Refused, not Invalid: it is all of the store that is out of reach, and another
// may have it.
//
// # Versions
//
// Tested with mongo-driver v2.9.3 and FerretDB v1.24.0 on SQLite, which speaks
// MongoDB's protocol and ignores both concerns: what it acknowledges is in
// SQLite's log, which is synced at each commit. It has no replica sets: what a
// MongoDB says about them was tested with a fake server that says the same. It
// was not run with a MongoDB. FerretDB 1.x holds one of 100 SQLite connections
// for each document that a command replaces, until the command ends, and hangs
// when it has none left: set Config.BatchKeys to 8 and Config.PoolSize to 16.
package mongokv
