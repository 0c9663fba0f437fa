// Package kvstatus shows over HTTP how stores and groups of stores are: to load
// balancers and Kubernetes, to programs, and to an operator who has just been
// woken.
//
//	page := kvstatus.New(kvstatus.Config{Title: "Orders"})
//	group, err := failover.New(failover.Config{Observer: page}, first, second)
//	page.Watch(group)
//	mux.Handle("/status/", http.StripPrefix("/status", page))
//	server.RegisterOnShutdown(func() { page.Close() })
//
// # What is served
//
//	/livez        200 while the process runs
//	/readyz       200 if reads and writes can be served, by whichever store, else 503
//	/readyz?readonly  200 if reads can be served
//	/health       JSON for health checkers; 200, or 503 if something is down
//	/status.json  all that is known, without the past
//	/             the live page
//	/events       what keeps the live page up to date, as server-sent events
//
// What machines ask for can also be mounted by itself: mux.Handle("/readyz", page).
//
// Everything that is watched has to be ready for /readyz to be 200. A store of
// which no health check has ended counts as ready, because calls to it are let
// through. Nothing watched is not ready.
//
// /health has the fields status, timestamp, backend and error that such answers
// commonly have: status is healthy, degraded or unhealthy; backend names who
// calls try first; error is there only if status is unhealthy, and holds names only. Its
// field checks has an entry for each store, as "group/store", with a status of
// its own, which can also be unknown.
//
// The page needs no JavaScript to show the state of the moment at which it was
// asked for; with it, it shows a switch or a breaker's change at once, and says
// when the service does not answer any more. Its plots go back five minutes, as
// far as events were told.
//
// # What it costs the stores
//
// Nothing: a request is answered from what health checks have found and events
// have told, and causes no check and no call. If a Status does not come, which
// that of a Store or a group never does, an answer waits 50 ms for it once.
//
// Memory is bounded: what is remembered of each of at most 64 stores and groups
// is some 75 KB for each of up to four shards, and Config bounds the rest. A
// live page whose viewer does not read is dropped after five seconds, and nobody
// else waits for it. Observe allocates nothing for calls, and takes 65 to 240 ns
// for both events of a group's call (two virtual cores, more or less busy;
// go test -run xxx -bench Observe ./resilient/kvstatus).
//
// # Who may see it
//
// Whoever can reach the handler: it asks for no password, changes nothing and
// listens nowhere by itself. It shows the names of stores and groups, which the
// program chose, their states and numbers, and what was said to Breaker.Force;
// no key, no value and, unless Config.WithErrors is set, no error's text. Only
// GET and HEAD are answered. The page loads nothing from elsewhere, and its
// Content-Security-Policy allows no other script than its own.
package kvstatus
