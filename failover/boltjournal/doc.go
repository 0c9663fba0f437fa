// Package boltjournal keeps what the members of a failover group are owed in
// one bbolt file, so that it outlives the process:
//
//	j, err := boltjournal.Open("owed.db", boltjournal.Config{})
//	kv, err := failover.New(failover.Config{Writes: failover.MirrorStrict, Journal: j}, first, second)
package boltjournal
