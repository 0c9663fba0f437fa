// Package kvslog writes the events of Holdfast to a slog.Logger.
//
//	logs := kvslog.New(slog.Default())
//	store, err := resilient.Wrap(kv, resilient.Config{Observer: logs})
//
// # Lines
//
//	level  message                                      of
//	Debug  call ended                                   an attempt at a store
//	Warn   call failed                                  the same, if it may have been applied
//	Debug  call done                                    a call as its caller saw it
//	Warn   write may have been applied                  the same, of a write that ended so
//	Debug  health check                                 a health check
//	Warn   health check is slow                         a good one that took longer than Probe.SlowAfter
//	Warn   store is unhealthy                           the first that is bad
//	Warn   store is healthy again                       the first that is good after a bad one
//	Warn   breaker opened                               a breaker
//	Info   breaker half-open                            a breaker
//	Info   breaker closed                               a breaker
//	Warn   group serves from another member             a group of package failover
//	Info   group serves from a more wanted member       the same, on its way back
//	Error  no member of the group serves                the same, with all away; to is who calls still try first
//	Info   write is owed                                a write that a member has not got
//	Info   owed writes handed back                      a pass of hand-back
//	Warn   hand-back stopped                            the same, if the member refused or failed; without count if it took nothing
//	Warn   stale answer                                 a call that a cache answered
//	Error  writes lost                                  owed writes that were given up
//
// Messages are constant. Attributes say the rest, where there is something to
// say: group, backend (the store), op, error_class, attempt, dur, age, count
// (of writes), open_for (the least time that the breaker stays open), from, to,
// reason, degraded, error, and suppressed.
//
// # Repeated lines
//
// Of lines with the same message, group and backend at most one a second is
// written; the next says in suppressed how many were left out. Lines about a
// change of state (breakers, groups, healthy or not) and about loss are
// all written.
//
// # What is in no line
//
// No key and no value: events have none. Of an error there is its class and
// what is known to hold no data: the texts of the sentinels of packages
// resilient and breaker (those of package failover are written as the ones they
// match), of package context's and of system errors, an SQLSTATE, else the names
// of types. The text that a driver made, which may hold keys, values, addresses
// or a password, is in the error that the caller gets, and there alone. A
// reason may hold what was said to Breaker.Force.
package kvslog
