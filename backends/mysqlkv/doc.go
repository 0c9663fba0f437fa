// Package mysqlkv keeps a store in one table of MySQL or MariaDB.
//
//	kv, err := mysqlkv.Open("app@tcp(localhost:3306)/app", mysqlkv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Config.Namespace names the table, which the first contact of a store makes if
// it is not there:
//
//	CREATE TABLE holdfast (k VARBINARY(512) NOT NULL PRIMARY KEY, v LONGBLOB NOT NULL) ENGINE=InnoDB
//
// Keys and values are the bytes that were given: nothing folds case, accents or
// trailing spaces. A table that is there already is used if its columns have
// these names and types, k and nothing else is unique, and its engine has
// transactions; of a view only the columns are seen. A table that is dropped
// later is not made again: every call is refused until it is back, and Health
// says so. Where the server folds the case of tables' names
// (lower_case_table_names), two namespaces that differ in case only are one. A
// row whose key is one zero byte is the canary's.
//
// The user needs SELECT, INSERT, UPDATE and DELETE on the table, and CREATE if it
// is to be made.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; values that the server's max_allowed_packet, as it was at the
// first contact, has no room for (resilient.ErrValueTooLarge, before anything is
// sent: a server drops the connection of one that is too large). A server that
// cannot take 512 KiB is refused, as is a table with other columns, with no unique
// index of k or with one of anything else, or of an engine without transactions
// (MyISAM, Aria), where a batch could be applied in part, and a session whose
// isolation level is READ UNCOMMITTED.
//
// # Calls
//
// Get, Set and Delete cost one round trip, with statements that stay prepared on
// each connection; Health costs two, List one for each 4096 keys. A batch is cut
// into statements of at most 500 keys and about 4 MiB, with sorted keys, in one
// transaction: all of it is applied or nothing. What the server rolls back whole
// (a deadlock) is tried up to 20 times. A lock that is not free in time (error
// 1205) undoes one statement only and is not tried again.
//
// A call returns when its ctx ends, whatever the server does, and the
// connection is closed; so does COMMIT, which is why sql.Tx is not used: its
// Commit looks at no ctx. A write that had been sent by then is ambiguous: a
// server that was frozen still finds it in its socket. One that found no
// connection, or whose statement could not be prepared, is refused. A write that
// waits for a lock at the server waits no longer than Config.Timeout, rounded up
// to seconds, and is not applied after that.
//
// Health does not know of a full disk, even with Config.Canary: InnoDB goes on
// replacing rows in the pages that it has. New rows are then refused with error
// 1114, or hang.
//
// # What is set on the driver
//
// Whatever the DSN says: interpolateParams, multiStatements, allowAllFiles,
// rejectReadOnly and clientFoundRows off, checkConnLiveness on,
// maxAllowedPacket as large as Config.MaxValue needs, no log. Unless the DSN
// says otherwise: readTimeout and writeTimeout of a minute, a backstop, for every
// call has a deadline of its own. Config.DialTimeout bounds all of a connection's
// beginning: the driver's timeout would end with the dial and leave out a server
// that takes connections and says nothing.
//
// Every connection begins with autocommit = 1 and a strict sql_mode (without
// which a server cuts off what does not fit), with no sql_select_limit, with the
// character_set_connection that it sends in (a server converts keys and values
// otherwise), and with lock_wait_timeout and innodb_lock_wait_timeout of
// Config.Timeout; their defaults are a day or more, and 50 s.
//
// The pool has at most Config.PoolSize connections, and keeps as many, for at
// most a minute without use and five minutes in all. A server that answers that it
// is read-only loses all of them, at most once a second: the name may point to
// another by now. The driver and database/sql
// send nothing twice: database/sql tries another connection only if nothing was
// written on the first.
//
// With New all of this is the owner's to set. A pool with autocommit off, without
// a strict sql_mode, with a sql_select_limit below 500, or with a
// character_set_connection other than its character_set_client is refused at the
// first contact; the rest cannot be seen. database/sql does not say whether a
// call that waited in vain for a borrowed pool was sent, so that such a write is
// ambiguous. Text that holds keys or values is never made, whatever
// interpolateParams says.
//
// # Errors
//
// They give the server's error number and not its words, which quote keys and
// values; errors.As finds the driver's error. A driver that panics over what a
// server greets it with is an error of that call; the driver then leaves a
// goroutine and a descriptor behind.
//
// # TLS
//
// The DSN's tls=true, or the name of a tls.Config that was registered with the
// driver. Config.RequireTLS takes nothing less.
//
// Tested with go-sql-driver/mysql v1.10.1 on MariaDB 10.11 on Linux. The SQL is
// what MySQL 8 and MariaDB have in common; it was not run on MySQL.
package mysqlkv
