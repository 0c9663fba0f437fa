// Package kvotel makes OpenTelemetry metrics of Holdfast's events and statuses,
// and adds events to the spans of callers.
//
//	observer, err := kvotel.New(otel.GetMeterProvider())
//	group, err := failover.New(failover.Config{Observer: observer}, first, second)
//	observer.Watch(group)
//
// One Observer serves all stores and groups of a program. Events make the
// counters and histograms; what is observed asynchronously is read from Status
// at each collection, of what is watched. The counters of a store or a group
// exist, at zero, from the moment that it is watched, or that its first event is
// told; those of failovers need Watch, which knows the members. A histogram
// exists from its first value on: OpenTelemetry has no empty one.
//
// # Metrics
//
// They are those of package kvprom, which says what each means, what words its
// attributes have and what shares a series. An attribute without a value is
// left out.
//
//	holdfast.operation.duration       histogram      s
//	holdfast.operation.attempts       histogram      {attempt}
//	holdfast.retries                  counter        {retry}
//	holdfast.writes.ambiguous         counter        {write}
//	holdfast.breaker.calls            counter        {call}
//	holdfast.breaker.transitions      counter        {transition}
//	holdfast.bulkhead.rejections      counter        {call}
//	holdfast.panics                   counter        {panic}
//	holdfast.health.check.duration    histogram      s
//	holdfast.failovers                counter        {failover}
//	holdfast.journal.appends          counter        {entry}
//	holdfast.journal.replays          counter        {entry}
//	holdfast.journal.sync.duration    histogram      s
//	holdfast.writes.lost              counter        {write}
//	holdfast.cache.stale.age          histogram      s
//	holdfast.breaker.status           updowncounter  1
//	holdfast.backend.status           updowncounter  1
//	holdfast.backend.active           updowncounter  1
//	holdfast.backend.owed             updowncounter  {write}
//	holdfast.group.status             updowncounter  1
//	holdfast.journal.entry.count      updowncounter  {entry}
//	holdfast.journal.size             updowncounter  By
//	holdfast.journal.oldest_entry.age gauge          s
//	holdfast.journal.status           updowncounter  1
//	holdfast.backend.stalled.age      gauge          s
//	holdfast.bulkhead.call.active     updowncounter  {call}
//
// The SDK keeps 2,000 series of an instrument, unless its
// WithCardinalityLimit says otherwise, and puts all others into one. They are
// enough for 130 stores, which have 15 transitions each, or 55 groups of two,
// between whose members there are 36 failovers.
//
// There is no db.client.operation.duration: that is for the instrumentation of
// the drivers, which know the database's name and address.
//
// # Spans
//
// There are no spans of this package's own. The caller's span, if it is
// recording, gets an event holdfast.retry of an attempt after the first,
// holdfast.breaker.rejected of one that an open breaker refused,
// holdfast.failover of a call that a member answered which is not the most
// wanted, holdfast.stale_served of one that a cache answered, and
// holdfast.journal.appended of a write that a member is owed, with
// holdfast.group, holdfast.backend and holdfast.operation.
//
// Nothing of a key, a value or an error is in an attribute.
package kvotel
