// Package breaker is a circuit breaker that heeds health checks as well as
// calls. It knows nothing about stores.
//
// A Breaker is closed (calls pass), open (calls are refused) or half-open (a
// few trial calls pass). Three kinds of evidence move it, each with a ledger of
// its own:
//
//   - calls: Failures in a row, or Rate of the calls in Window, open it;
//   - health checks: Fall failures in a row open it, Rise good ones in a row
//     bring it back;
//   - doubt: after two failed calls in a row, or after Doubt, a failed health
//     check that began in doubt opens it at once.
//
// A good health check never clears the calls' ledger: a store that answers
// pings and fails writes stays suspect.
//
// How it comes back depends on what opened it. After health checks, the first
// good check at or after the end of OpenFor makes it half-open, and the
// Rise-th in a row closes it. After calls, Rise good checks in a row, the last
// of them at or after the end of OpenFor, make it half-open, and Trials good
// trial calls close it. One failure while half-open, of a trial or of a check,
// opens it again for twice as long, up to MaxOpenFor; after a failed trial only
// trials close it. Without health checks OpenFor alone leads to half-open, and
// Trials good trial calls close it.
//
// A caller asks Allow before a call and settles the Permit after it:
//
//	permit, err := b.Allow()
//	if err != nil {
//		return err // an *OpenError
//	}
//	outcome := breaker.Failure // settled as one if the call panics
//	defer func() { permit.Done(outcome, err) }()
//	if err = call(); err == nil {
//		outcome = breaker.Success
//	}
//
// A verdict counts only if it began in the state in which it ends: a call or a
// check that began before a transition, Force or Release changes nothing.
// "In a row" means that no good one ended in between.
//
// Time is the monotonic clock of package time; steps of the wall clock change
// nothing.
package breaker
