// Package boltkv keeps a store in one file of this process, with bbolt.
//
//	kv, err := boltkv.Open("store.db", boltkv.Config{})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Every key is a key of one top-level bucket, named by Config.Namespace, and
// every value is stored as it is. Other buckets of the file are left alone.
// The bucket is made when the store is opened; if it is gone later, every call
// fails.
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; a key at which somebody
// else has nested a bucket (resilient.ErrInvalidKey); values over
// Config.MaxValue; a path that is a symbolic link, a directory or anything but a
// regular file; a journal of package boltjournal; a file that somebody else has
// open. Writes are refused while the disk has less than Config.MinFree bytes
// free, and while the file at the path is not the one that is open: bbolt would
// go on writing to a deleted file, and everything acknowledged would be gone with
// the process. Free space is not known outside of Linux, macOS and FreeBSD and is
// not checked there.
//
// # Writes
//
// bbolt has one writer, and each of its commits waits for the disk twice. Single
// writes that wait at the same time share one commit; a batch has a transaction
// of its own and is applied as a whole or not at all. A write returns when its
// commit is on the disk, or at the end of its ctx (see KV.SetRaw).
//
// A commit that fails for want of space is refused and changes nothing. After
// any other failed commit (an I/O error, a failed sync) what the device holds
// is in doubt: the store goes on reading but refuses all writes, and Health
// fails, until it is closed and opened again. A failed commit is ambiguous only
// if its transaction can be seen in the file; one that cannot be seen matches
// resilient.ErrRefused.
//
// Reads run on the caller's goroutine, from memory mapped pages, and look at
// ctx before they begin and, if long, every 128 keys. A caller who must leave at
// the end of ctx even if the disk hangs wraps the store in resilient.Detach.
// A page that cannot be read is an error, not the death of the process.
//
// # What is set on bbolt
//
// Timeout (its default waits for the lock for ever), mode 0600, the hashmap
// freelist (the array slows down as a large file fragments), NoStatistics (they
// cost a lock per transaction). Everything that trades durability is as bbolt
// has it unless Config.NoSync is set. New changes nothing on the database it is
// given.
//
// Tested with bbolt v1.5.0 on Linux.
package boltkv
