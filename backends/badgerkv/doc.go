// Package badgerkv keeps a store in a directory of this process, with badger.
//
//	kv, err := badgerkv.Open("store.badger", badgerkv.Config{})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Every key is stored behind a mark, the length of Config.Namespace and the
// Namespace itself, so that namespaces never overlap, and every value as it is.
// Other keys of the database are left alone.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; a path that is a symbolic link or not a directory; a
// directory with files in it that group or others may enter, because badger
// makes some files with mode 0644; a directory that somebody else has open.
//
// badger writes through memory maps of sparse files: on a full disk it ends the
// process with SIGBUS, which no program can catch. So Open and all writes are
// refused while the disk has less than Config.MinFree bytes free; with New, the
// disk of the tables or that of the value log. They are also refused while the
// directory at the path is not the one that was opened, whose files would be
// gone with the process. Free space is not known outside of Linux, macOS and
// FreeBSD and is not checked there.
//
// # Writes
//
// Writes that wait at the same time share the sync of badger's value log; in that
// of its memtable badger syncs each transaction on its own. A batch that does not
// fit into one of badger's transactions is split and then not atomic. Writes do not read, so they do not conflict; what badger reports as a
// conflict is of class Conflict. After a commit that failed in any other way the
// files are in doubt: the store goes on reading but refuses all writes, and
// Health fails, until it is opened again. The same holds when the sync of the
// value log fails, which badger only logs and then acknowledges the write (with
// New, whose database has its owner's logger, nobody hears of it).
//
// badger takes no context. A call looks at ctx before it begins, and if it is
// long every 128 keys or between two transactions; it does not end with its ctx
// while badger is stalled, and reads wait for the commits before them. A caller
// who must leave wraps the store in resilient.Detach.
//
// Errors name no key: badger prints keys and values as hex dumps, so that those
// of its errors that are not known by name are reachable with errors.Unwrap but
// not printed.
//
// # Memory
//
// With what Open sets, badger has at most five memtables of 21 MiB at once: the
// one that is written, three that wait and one that it makes a table of. For that
// it takes 60 MiB more. It keeps up to eight of these 60 MiB for the tables to
// come, and gives one back every 2 s while it makes none. With the block cache
// that comes to 617 MiB, however long a few keys are overwritten. What is live
// stands at 22 MiB mostly and at 84 MiB for some seconds after every 16 MiB of
// writes at 0.7 MiB a second, and rises to 340 MiB at 100 MiB a second and no
// further, which
//
//	HOLDFAST_OVERWRITE=3000 go test -v -run TestOverwriting ./backends/badgerkv
//
// shows. Go's heap has garbage beside that, as much again unless GOGC says
// otherwise. Only the index of what is stored has no bound: badger has that of
// every table in memory. The files that badger maps are the system's to keep in
// memory or not.
//
// # What is set on badger
//
// SyncWrites (an acknowledged write survives the machine; badger's default
// survives the process only), 3 memtables of 16 MiB and a block cache of 32 MiB
// (badger's own are 5 of 64 MiB and 256 MiB), value log files of 128 MiB (badger
// maps twice that at once), 2 compactors, no conflict detection (nothing here
// reads in a write transaction), no expvar metrics, no log. The value log is
// collected every Config.GCInterval. New changes nothing on the database it is
// given.
//
// Tested with badger v4.9.6 on Linux.
package badgerkv
