// Package consulkv keeps a store in the key-value store of a Consul cluster,
// through the HTTP API of any of its agents.
//
//	kv, err := consulkv.Open("localhost:8500", consulkv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// A key is stored in the folder Config.Namespace ("holdfast/" if there is none),
// with every byte but letters, digits and -_.,:@= as ~ and two hexadecimal
// digits; so are a slash that begins the key or follows another, and a dot that
// begins the key or follows a slash. "user/42" is stored as "holdfast/user/42",
// "a b//.c" as "holdfast/a~20b/~2f~2ec". No URL, proxy or server changes such a
// path, so that no key is taken for another key or for another part of the API.
// List gives the keys back as they were, and leaves out what is in the folder
// and was not put there by this package. Values are stored as they are.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes (at most 1536 when stored;
// Consul takes a million); values over Config.MaxValue, 512 KiB unless Consul's
// kv_max_value_size is raised too; an answer of more than 64 MiB, which is a List
// of about a million keys: Consul cannot send them in parts. Redirects are errors, and so is an answer
// without Consul's headers (X-Consul-Index, X-Consul-Default-Acl-Policy): a 404 or
// 200 of anybody else's is neither a miss nor a write.
//
// A token that may not read or write a key gets an error of class Invalid
// for that key. Health of a token that may not write in the folder matches
// resilient.ErrRefused, as does everything with a token that Consul does not
// know. Consul leaves what a token may not read out of a List: that List fails.
// Only of the anonymous token, in a cluster that denies by default, does Consul
// not say so: a List of it may lack keys that other rules hide.
//
// # Reads and writes
//
// Reads are consistent ones: the leader asks a majority whether it still leads.
// A write is acknowledged when a majority has it in its raft log, on the disk. A
// batch of any size is cut into transactions of 64 keys and 256 KiB, which are
// atomic each; the whole is not. Without a leader Consul holds a request for at
// least 7 s before it refuses it (rpc_hold_timeout; up to 18 s were measured): a
// ctx that ends before leaves a write in doubt, which may still be applied.
//
// Health is one read-only transaction at the leader that reads a key of the
// library's own, where no user's key can be, and asks whether it could be
// written. With Config.Canary a second one sets and deletes that key; only this
// finds a full disk, or a rate limit for writes.
//
// # What is set on the driver
//
// The token, TLS and tenancy of CONSUL_* variables are not used (Enterprise
// namespaces and partitions need New). Connections: at most Config.PoolSize, no
// proxy, HTTP/1.1, no compression, no redirects, DialTimeout for the dial (net/http
// has 30 s, then no bound at all). Every call has a context with a deadline
// unless Config.Timeout is negative.
//
// net/http repeats a request by itself if a connection from the pool turns out
// to be dead: reads always, PUT and DELETE only if not one byte of them was
// written, or if they have a header Idempotency-Key, which this package does not
// set. A write is thus never sent twice. One for which no connection was to be
// had matches resilient.ErrRefused.
//
// Tested with github.com/hashicorp/consul/api v1.34.4 and Consul 1.22.0 on Linux.
// Batches and Health need get-or-empty in transactions, which Consul has from
// 1.14 on.
package consulkv
