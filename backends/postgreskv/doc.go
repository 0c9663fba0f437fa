// Package postgreskv keeps a store in one table of a PostgreSQL database, with
// pgx.
//
//	kv, err := postgreskv.Open("postgres://app@localhost/app", postgreskv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Every key is a row of one table, named by Config.Namespace:
//
//	CREATE TABLE holdfast (key bytea PRIMARY KEY, value bytea NOT NULL)
//
// The first call that a store sends makes the table if it is not there; many
// processes may do that at once, and a user who may not create tables can use
// one that is there. A schema is not made. A store that has seen its table never
// makes it anew: if the table is dropped, every call is refused and Health
// fails until somebody has made it. With Config.Canary there is one row more,
// under a key outside of the contract's domain.
//
// Columns of type bytea are compared byte by byte, whatever the collation of
// the database. A table of another shape is refused by Health.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; a Namespace that is not a plain name, or two;
// default_query_exec_mode=simple_protocol, which would make keys and values part
// of the SQL text. Names are quoted: Sessions is not sessions.
//
// # Writes
//
// A write is acknowledged when PostgreSQL has committed it. What it then
// survives rests on the server's fsync and synchronous_commit (both are on
// unless somebody has turned them off), and for the loss of the machine on
// synchronous_standby_names. A batch is one transaction, of several statements
// if it has more than 10000 keys or 8 MiB; keys are sorted, so that batches do
// not deadlock, and one that the server rolls back for somebody else's sake is
// tried three times.
//
// An ERROR of the server means that it has rolled back: such a write is refused,
// not ambiguous. A write is ambiguous if its answer did not come: the connection
// broke, the server ended the session, or ctx ended. When ctx ends the call
// returns at once; pgx then asks the server to cancel the statement, and
// statement_timeout and lock_timeout end it if the server cannot be reached.
// Neither ends a commit that waits for a synchronous standby.
//
// # Connections
//
// A connection that the server has closed, as at a restart, is found out before
// anything is sent, on Linux, macOS and FreeBSD, and another one is taken. One
// that was idle for a second is also proven with a round trip. What is left is a
// connection that breaks in the same moment: it fails the call that has it, a
// write of which is ambiguous. Several hosts with
// target_session_attrs=read-write follow a failover: pgx tries each for
// Config.DialTimeout. Without target_session_attrs, or with any, a standby among
// them would answer with what was overwritten; that is taken for primary. A
// server that answers that it is read-only loses Open's connections, at most once
// a second: the name may point to another by now.
//
// # What is set on pgx
//
// By Open only; New leaves its pool as it is.
//
//   - MaxConns 8 (its default depends on the machine's processors).
//   - ConnectTimeout and PingTimeout 1 s (their defaults are 2 min and none).
//   - A dialer that ends pgx's clean-up behind an ended call after 1 s a step
//     (pgx takes 15 s, and the connection's place in the pool as long) and at
//     Close.
//   - ValidateConnect as for target_session_attrs=primary, if the URL has several
//     hosts and allows any of them.
//   - statement_timeout and idle_in_transaction_session_timeout 10 s,
//     lock_timeout 1.5 s, as parameters of the session. A pooler that does not
//     take them needs a negative Config.StatementTimeout and Config.LockTimeout.
//
// Statements are prepared once per connection (pgx's default), which the server
// plans anew if the table changes. PgBouncer before 1.21 in transaction mode
// does not know them: give it default_query_exec_mode=cache_describe in the URL.
// pgx repeats no statement by itself.
//
// Tested with pgx v5.12.0 and PostgreSQL 15.18 on Linux.
package postgreskv
