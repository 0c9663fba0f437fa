// Package failover makes one store out of several: New returns a KV that
// serves each call from the first healthy member in priority order, keeps what
// a member missed while it was away, and hands that back when it returns.
//
//	          caller
//	            |  KV, KVWithHealth, Batcher
//	     +------v------+   what members are owed    +----------+
//	     |     KV      |--------------------------->| overlay  |--> Journal
//	     +------+------+                            +----+-----+
//	            | in the route's order                   | hand-back
//	   +--------+---------+                              |
//	+--v----+ +-v-----+ +-v-----+                        |
//	| Store | | Store | | Store |<-----------------------+
//	+-------+ +-------+ +-------+
//
// Two stores that are empty and are to stand in for each other:
//
//	users, err := failover.New(failover.Config{
//		Writes:   failover.Mirror, // both are sent every write
//		Complete: true,            // what one lacks, neither has
//	}, first, second) // the most wanted first
//	...
//	defer users.Close() // hands back what is owed, and closes both
//	err = users.SetRaw(ctx, "ada", value)
//
// WithCache is for a service with one store, which may answer reads with what it
// remembers while that is away.
//
// # Which member serves
//
// Each member is a resilient.Store. Its breaker says whether it is asked at
// all; the order of the members says who is asked first. A member whose call
// timed out is suspect, and asked last, until a health check that began after
// that is good; a member that was away is asked after the others until it has
// been back for Failback.After. A read that one member cannot serve goes on to
// the next. With a deadline on its ctx, each attempt gets an equal share of
// what is left of it, at least 50 ms where that fits: a member slower than its
// share counts as hung.
//
// # What becomes of a write
//
// In Handoff, the default, the first member holds everything, and the next one
// takes a write in its place while it is away: the first is then owed the
// write, and once it has it, the copy is removed from the other. In Mirror every
// member is sent every write side by side; the write is acknowledged when one
// has it and every other has it too or is owed it. MirrorStrict is Mirror with
// the intent in the journal before anything is sent.
//
// The overlay holds the newest version of every key that some member is owed or
// that is being written, and answers reads of it: no member that lacks a
// version is asked for it. So it does not matter to a caller when the group goes
// over to another member or back. What is owed is in the Journal before a write
// is acknowledged; a write that all members have taken is not.
//
// A write that may have been applied somewhere is rolled forward, never back;
// its caller gets an error that matches resilient.ErrAmbiguous only if no
// member has acknowledged it and no journal that outlives the process has it.
// While an earlier call to a member can still take effect there, nothing is
// handed back to it for that key.
//
// # Guarantee
//
// For one process that writes a key, and members that keep what they have
// acknowledged: calls of that key are linearizable across failover and
// failback, and no acknowledged write is lost, undone or resurrected, deletes
// included. With a journal that outlives the process this holds across its
// death too, in Handoff and MirrorStrict; in Mirror no acknowledged write is
// lost, but one that was cut off may be on some members only, and the others
// than the first are not taken for complete until KV.Rebuild has run. With
// MemoryJournal what is owed when the process ends is lost with it.
//
// # What an answer means
//
// A miss is resilient.ErrNotFound only where it can be trusted: from the first
// member, or with Config.Complete from any. Elsewhere it is ErrUncertain, after
// every member has been asked. A value from a member that stands in is served
// and marked Degraded: if something else than this group wrote it there, it may
// be old. An *Error says what each member answered.
package failover
