// Package rediskv keeps a store in a Redis, of one server, Sentinel or Cluster.
//
//	kv, err := rediskv.Open("redis://localhost:6379/0", rediskv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// A key is stored as Config.Namespace, a colon and its own bytes, a value as a
// string without an expiry. Keys of the library's own, which only Health with
// Config.Canary makes, have a zero byte after the colon, which no key of the
// contract has; List leaves them out. They share the prefix so that a user whose
// ACL names nothing else can be checked too.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; namespaces of other than 1 to 64 letters, digits, dots,
// underscores and hyphens. A key of another type than string is an error of
// class Invalid for GetRaw and BatchGetRaw alike, is listed, deleted and
// overwritten.
//
// # Writes
//
// What an acknowledged write survives is the server's affair: with its own
// defaults a crash loses up to minutes. "appendonly yes" and "appendfsync
// always" keep everything through a crash of the server or its machine;
// "everysec" loses about a second. A replica that takes over lacks what had
// not reached it, whatever the settings; min-replicas-to-write only bounds for
// how long. With a maxmemory-policy of allkeys-... a full server drops keys that
// it has acknowledged, which are then missing as if they had been deleted; with
// noeviction, its default, or a volatile-... one it refuses writes.
//
// Batches are pipelines of at most 1000 commands or 4 MiB, in ascending order of
// the keys. They are not atomic. One that fails is ambiguous, unless the server
// has refused each of its commands.
//
// A call of Open's store for which a connection had to be made is refused if the
// server has not answered the handshake: nothing of it was sent. With a borrowed
// client that cannot be told, unless it could not even connect.
//
// The end of a ctx closes the connection of the call: a write that was sent may
// be carried out later, by a server that was frozen for one.
//
// # Lists
//
// List is one walk of SCAN over one connection of each server. Should that end,
// the call fails: cursors of another server, or of the same one after a restart,
// skip keys. A cluster that moves slots would hide keys too; List then fails with
// class Conflict until CLUSTER NODES, on each master, says that all 16384 slots
// rest. Where that command is not allowed keys may be missing meanwhile.
//
// # What is set on go-redis
//
// Open's store has a client with one connection for each call under way, up to
// Config.PoolSize. The driver cannot be interrupted while it reads, so the end
// of a ctx closes the connection, which must be the call's own. A connection
// that cannot be made is handed to the driver as one that fails: it would print
// a dial error, and give it to later calls for up to a second.
//
//   - MaxRetries -1: a retried write that was applied looks refused.
//   - ContextTimeoutEnabled: otherwise the deadline of ctx is not looked at.
//   - ReadTimeout and WriteTimeout -1: the ctx of a call bounds it, Config.Timeout
//     if it has no deadline.
//   - DialTimeout Config.DialTimeout, DialerRetries 1: the default makes five
//     attempts of 5 s.
//   - PoolSize 1, PipelinePoolSize -1, PoolTimeout 1 s: one connection for all.
//   - Protocol 2: version 3 adds messages that nobody has asked for, and a look
//     for them at each call.
//   - MaintNotificationsConfig disabled, DisableIdentity: each is a round trip
//     more for a new connection.
//
// New changes nothing. It refuses a client that has MaxRetries over 0 (set -1),
// that may wait for ever, that has a client-side cache, reads from replicas, or
// is a Ring. Its calls run in goroutines that their callers can leave; at most
// Config.PoolSize are under way or left behind, and end by the client's
// timeouts. A pool whose dials have failed PoolSize times notices up to a second
// late that the server is back. A ClusterClient repeats a write that has failed
// as often as MaxRedirects says, and without that it follows no slot that has
// moved: unless MaxRedirects is -1, every failed write is ambiguous. With
// Sentinel, Health finds a primary that has been replaced when the client does;
// that a client was made with ReplicaOnly nobody sees but Health, which fails.
// On one machine a call at a borrowed client takes about twice as long as the
// client alone, one of Open's store 1.06 times (BenchmarkAgainstTheBareDriver).
//
// A server that answers that it is a replica loses the connections of Open's
// store, at most once a second: the name may point to another by now.
//
// A connection that the server has closed while it was idle, as at a restart, is
// found out before anything is sent, but for a borrowed client's with TLS, whose
// socket the driver does not see: the first call on each of them fails, a write
// as ambiguous.
//
// go-redis prints some events to standard error by itself; redis.SetLogger
// changes that for the whole process.
//
// Tested with go-redis v9.23.0 on redis-server 7.0.15: one server, a replica, TLS
// and a cluster of two primaries. Sentinel was not run.
package rediskv
