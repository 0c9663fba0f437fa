package outagetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is all that an event says but the text of its error.
func text(e resilient.Event, began time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8.3f %s %s/%s", e.Time.Sub(began).Seconds(), e.Kind, e.Group, e.Store)
	add := func(is bool, format string, args ...any) {
		if is {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	call := e.Kind == resilient.KindCall || e.Kind == resilient.KindDone
	add(call || e.Kind == resilient.KindOwed || e.Kind == resilient.KindStale, "%s", e.Op)
	add(call || e.Kind == resilient.KindProbe, "%s", e.Class)
	add(e.From != "" || e.To != "", "%s -> %s", e.From, e.To)
	add(e.Reason != "", "(%s)", e.Reason)
	add(e.Duration >= time.Millisecond, "%s", e.Duration.Round(time.Millisecond))
	add(e.Age != 0, "age %s", e.Age.Round(time.Millisecond))
	add(e.Attempt > 1, "attempt %d", e.Attempt)
	add(e.Count != 0, "count %d", e.Count)
	add(e.Slow, "slow")
	add(e.Degraded, "degraded")
	add(e.Stale, "stale")
	add(e.Back, "back")
	add(e.Ambiguous, "ambiguous")
	add(e.Err != nil, "error")
	return b.String()
}

func TestTheOutageYieldsExactlyTheseEvents(t *testing.T) {
	var lines []string
	synctest.Test(t, func(t *testing.T) {
		rec, began := &kvtest.Recorder{}, time.Now()
		New(t, rec).Play(func(act string) {
			var told []string
			for _, e := range rec.Events() {
				told = append(told, text(e, began))
			}
			rec.Reset()
			slices.Sort(told) // those of one moment have no order
			lines = append(append(lines, "== "+act), told...)
		})
	})
	Golden(t, "events.txt", strings.Join(lines, "\n")+"\n")
}
