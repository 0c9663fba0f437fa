// Package boltjournal keeps what the members of a failover group are owed in
// one file, so that it outlives the process:
//
//	journal, err := boltjournal.Open("owed.db", boltjournal.Config{})
//	...
//	kv, err := failover.New(failover.Config{Writes: failover.MirrorStrict, Journal: journal}, first, second)
//
// The group closes the journal. One process at a time has it open.
//
// # What is in the file
//
// One record for each key that some member is owed something of, the group's
// notes, the names of the members and the mark whether the last use ended
// well, with a checksum on each and on all of them together, in a bbolt
// database of mode 0600. Values are stored as they are: keep the file where
// the stores themselves could be.
//
// Members are stored by name: a group may have new ones, and others in their
// place. One that is not in the group any more and is owed something is an
// error; Discard gives that up.
//
// # Opening
//
// Open reads all of the file and reports all damage to what it holds
// (ErrDamaged), never a part of it. A power failure that leaves half of a sector
// of the file's head written is such damage; the death of the process is not.
// What cannot be seen is a disk that has lost all of the last commit.
//
// When its group opens it the journal is written anew, as PATH.new, and takes
// the old file's place when it is whole: damage that does not show cannot
// spread, and a file that was once large is not large for ever. So the disk
// must have room for all records once more. 100,000 records of 1 KiB take 1.2 s
// on two cores (BenchmarkOpen); a journal that is full has ten times as many.
//
// # Writing
//
// One goroutine commits, and each commit waits for the disk twice. What waits
// at the same time shares a commit of up to 256 records or 16 MiB; a single Put
// is never divided. A commit waits up to 2 ms for as many callers as shared the
// last one. So a caller that is alone waits for nobody, 100 at once cost two
// commits, and 64 that come again and again cost one for every 64 Puts
// (BenchmarkPut).
//
// A commit that lacks space is refused and changes nothing. After any other
// failure nobody knows what the disk holds, and a second sync that succeeds
// would prove nothing: every change is refused while a new file is made of
// what is in memory, again and again until that succeeds. A file that was
// deleted is made anew in this way too; one that somebody has put in its place
// is left alone, and changes are refused until it is gone.
//
// A record takes about 0.3 KiB of memory besides its value (BenchmarkOpen);
// values are shared with the group.
//
// # Where it works
//
// Linux, macOS and the BSDs: it locks files and renames open ones. Elsewhere
// Open returns errors.ErrUnsupported. It needs a file system whose locks and
// renames are those of a local one. Tested with bbolt v1.5.0 on Linux.
//
// The command holdfast-journal lists and verifies a journal.
package boltjournal
