// Package kvprom makes Prometheus metrics of Holdfast's events and statuses.
//
//	observer, err := kvprom.New(prometheus.DefaultRegisterer)
//	group, err := failover.New(failover.Config{Observer: observer}, first, second)
//	observer.Watch(group)
//
// One Observer serves all stores and groups of a program. Events make the
// counters and histograms; gauges are read from Status at each scrape, of what
// is watched. All series of a store or a group exist, at zero, from the moment
// that it is watched, or that its first event is told; those of failovers need
// Watch, which knows the members. A store adds 83 series (631 lines of a scrape:
// a histogram is 9 to 12), a group of two 194 (917 lines), and 43 (387 lines)
// are there whatever is watched.
//
// # Metrics
//
// Labels have the prefix holdfast_, which is left out here: group is
// holdfast_group. Names and labels are those that OpenTelemetry's exporter
// makes of package kvotel's.
//
//	holdfast_operation_duration_seconds       histogram  group,backend,operation,outcome
//	holdfast_operation_attempts               histogram  operation,outcome
//	holdfast_retries_total                    counter    group,backend
//	holdfast_writes_ambiguous_total           counter    group,backend
//	holdfast_breaker_calls_total              counter    group,backend,outcome
//	holdfast_breaker_transitions_total        counter    group,backend,breaker_state_from,breaker_state_to,reason
//	holdfast_bulkhead_rejections_total        counter    group,backend
//	holdfast_panics_total                     counter    group,backend
//	holdfast_health_check_duration_seconds    histogram  group,backend,outcome
//	holdfast_failovers_total                  counter    group,failover_from,failover_to,failover_direction,reason
//	holdfast_journal_appends_total            counter    group,backend
//	holdfast_journal_replays_total            counter    group,backend,outcome
//	holdfast_journal_sync_duration_seconds    histogram  group
//	holdfast_writes_lost_total                counter    group,backend,reason
//	holdfast_cache_stale_age_seconds          histogram  backend
//	holdfast_breaker_status                   gauge      group,backend,breaker_state
//	holdfast_backend_status                   gauge      group,backend,backend_state
//	holdfast_backend_active                   gauge      group,backend
//	holdfast_backend_owed                     gauge      group,backend
//	holdfast_group_status                     gauge      group,backend_state
//	holdfast_journal_entry_count              gauge      group
//	holdfast_journal_size_bytes               gauge      group
//	holdfast_journal_oldest_entry_age_seconds gauge      group
//	holdfast_journal_status                   gauge      group,journal_state
//	holdfast_backend_stalled_age_seconds      gauge      group,backend
//	holdfast_bulkhead_call_active             gauge      group,backend
//
// What they mean:
//
//   - operation_duration: calls as their callers saw them, retries and failover
//     included. backend is who answered: a store, the group itself (a write that
//     a member is still owed), or none. outcome is ok, not_found, invalid (the
//     call was wrong), canceled (the caller left), rejected (certainly not
//     applied), timeout and error (a write may have been applied); of a group
//     a timeout is an error. A call that a cache answered counts as what the
//     store made of it, and in cache_stale_age.
//   - operation_attempts: of the calls of a store outside of a group that were
//     tried at all, refused attempts included. retries: attempts after the first.
//   - writes_ambiguous: writes that may or may not have been applied, as far
//     as the caller knows.
//   - breaker_calls: attempts at a store. outcome is what the breaker was told,
//     success (an answer: a miss too, and that the call was wrong), failure or
//     ignored (the caller left, the store was closed, a layer of Holdfast below
//     refused it), or not_permitted (refused by the breaker). What MaxInFlight
//     refused is in bulkhead_rejections.
//   - breaker_transitions: states are closed, half_open and open. reason is
//     consecutive or failure_rate (calls), health (checks), probe_ok,
//     probe_failed, trial_ok, trial_failed, elapsed (open for long enough, without
//     checks) or manual.
//   - panics: of the wrapped store, contained.
//   - health_check_duration: outcome is ok, slow, unknown (the store cannot
//     tell), rejected, timeout or error.
//   - failovers: the group tries another member first. failover_to is none if
//     that is away too, and nobody serves. direction is failback if it is a more
//     wanted one that can serve, else failover. reason is automatic, manual or
//     drain.
//   - journal_appends: writes that came to be owed to the member, by call and
//     member. journal_replays: those handed back (applied), and the passes of
//     hand-back that the member stopped (failed): after it had taken some, and
//     the first in which it took none. journal_sync_duration: how long the journal took to keep a write that is
//     owed; once for each member that is owed it.
//   - writes_lost: owed writes that were given up. reason is closed (Close, and
//     the journal does not outlive the process) or discarded (by the operator).
//   - cache_stale_age: how old the values were that failover.WithCache answered
//     with in place of the store that backend names; its count is how many.
//   - breaker_status: 1 for the state that holds: closed, half_open, open,
//     forced_open or disabled (forced closed). backend_status and group_status:
//     1 for healthy, degraded, unhealthy or unknown.
//   - backend_active: 1 for the member that calls try first.
//   - backend_owed: writes that the member has not got yet. journal_entry_count
//     and journal_size: keys that any member has not got, and the bytes of keys
//     and values. journal_oldest_entry_age: for how long the oldest has waited.
//   - journal_status: 1 for ok, full (it had no room for a write, and has none
//     still), refusing (its latest change failed) or recovering (its file is
//     being made anew). backend_stalled_age: for how long the member has got
//     nothing of what it is owed though it is not away; 0 while it gets on.
//   - bulkhead_call_active: calls under way, those left behind included.
//
// Stores of the same name, in the same group or in none, share their series:
// numbers are added up, of ages the greatest stands. A Status that hangs holds
// up a scrape for a second at most; it, and one that panics, shows as unknown,
// without its numbers.
//
// A label's value is the name of a store or group, which the program chose, or
// one of the words above. Nothing of a key, a value or an error is in a label.
//
// # Cost
//
// A Get through a Store costs about 280 ns more than one without any observer,
// and no allocation; 155 ns of that are what any observer costs, most of it the
// two times that the clock is read (two virtual cores;
// go test -run xxx -bench Get ./resilient/kvprom).
package kvprom
