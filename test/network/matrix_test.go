package network

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/resilient"
)

// atOnce is how many cells are played side by side: most of their time is
// waiting.
const atOnce = 12

// row is a fault that meets connections that are in use, or none.
type row struct {
	fault fault
	warm  bool
}

func rows() (all []row) {
	for _, f := range faults {
		all = append(all, row{f, true}, row{f, false})
	}
	return all
}

// ways are those in which a row's calls are made. A caller who cancels while the
// driver connects is what the backends' own tests have.
func (r row) ways() []way {
	if r.warm {
		return []way{guarded, canceled}
	}
	return []way{guarded}
}

// TestMatrix plays each fault against each operation of each remote backend, and
// asks past the network what was applied. It fails if a call is told what is not
// so, returns late, or does not succeed soon after the fault.
func TestMatrix(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { newMatrix(b.site(t)).run(t) })
	}
}

// matrix is what was found at one backend.
type matrix struct {
	site *site

	mu    sync.Mutex // guards all below
	found map[string]*found
	told  struct {
		ok, refused, ambiguous, applied, zombies, second int
		slowest                                          time.Duration // after the end of the call's time
		recovered                                        time.Duration // the slowest
	}
}

func newMatrix(s *site) *matrix { return &matrix{site: s, found: map[string]*found{}} }

func (m *matrix) run(t *testing.T) {
	began := time.Now()
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, r := range rows() {
		for _, o := range operations {
			for _, w := range r.ways() {
				turns <- struct{}{}
				all.Go(func() {
					defer func() { <-turns }()
					m.play(t, cell{site: m.site, fault: r.fault, operation: o, warm: r.warm, way: w})
				})
			}
		}
	}
	all.Wait()
	t.Logf("RESULT kind=network store=%s cells=%d ok=%d refused=%d ambiguous=%d of_these_applied=%d zombies=%d refused_yet_applied=0 again_at_second=%d late_by_ms=%d recovered_ms=%d seconds=%.0f",
		m.site.name, len(m.found), m.told.ok, m.told.refused, m.told.ambiguous, m.told.applied, m.told.zombies, m.told.second,
		m.told.slowest.Milliseconds(), m.told.recovered.Milliseconds(), time.Since(began).Seconds())
	m.healthIsTrue(t)
	if !t.Failed() {
		// What became of a call can differ from run to run, where two packets race:
		// the rules above are demanded of each run, and the page shows one.
		if os.Getenv("HOLDFAST_WRITE_DOCS") != "" {
			compattest.Keep(t, "network.md", m.site.name, m.text(), "make unit-tools")
		}
	}
}

func (m *matrix) play(t *testing.T, c cell) {
	f, err := c.run(t.Context())
	for n := 1; n < retries && errors.Is(err, errBusy); n++ {
		f, err = c.run(t.Context())
	}
	if err != nil {
		t.Errorf("%v: %v", c, err)
		return
	}
	for _, wrong := range f.wrong {
		t.Errorf("%v: %s", c, wrong)
	}
	t.Logf("%v: class %v, bare %v, %v, later %v, after %v, again at %d: %v; %v",
		c, f.class, f.bare, f.effect, f.later, f.took.Round(time.Millisecond), f.again, f.err, f.before)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found[c.String()] = f
	switch {
	case f.err == nil:
		m.told.ok++
	case f.class == resilient.Refused || f.bare == resilient.Refused:
		m.told.refused++
	case c.operation.op.Writes():
		m.told.ambiguous++
		if f.later != none {
			m.told.applied++
		}
		if f.later > f.effect {
			m.told.zombies++
		}
	}
	if f.again == 2 {
		m.told.second++
	}
	m.told.slowest, m.told.recovered = max(m.told.slowest, f.took-patience), max(m.told.recovered, f.recovered)
}

func (m *matrix) at(r row, op resilient.Op, w way) *found {
	i := slices.IndexFunc(operations, func(o operation) bool { return o.op == op })
	return m.found[cell{site: m.site, fault: r.fault, operation: operations[i], warm: r.warm, way: w}.String()]
}

// healthIsTrue demands that Health is not nil in a row in which nothing else
// works.
func (m *matrix) healthIsTrue(t *testing.T) {
	for _, r := range rows() {
		for _, w := range r.ways() {
			health, get, set := m.at(r, resilient.OpHealth, w), m.at(r, resilient.OpGet, w), m.at(r, resilient.OpSet, w)
			if health == nil || get == nil || set == nil || r.fault.onlyLarge {
				continue
			}
			if health.err == nil && (get.err != nil || set.err != nil) {
				t.Errorf("%s, %s: Health is nil, and the store does not serve: %v, %v", m.site.name, r.fault.name, get.err, set.err)
			}
		}
	}
}

// text is the matrix in markdown.
func (m *matrix) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n| fault | connection |", m.site.name)
	for _, o := range operations {
		fmt.Fprintf(&b, " %s |", o.op)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(operations)) + "\n")
	for _, r := range rows() {
		conn := "none"
		if r.warm {
			conn = "idle"
		}
		fmt.Fprintf(&b, "| %s | %s |", r.fault.name, conn)
		for _, o := range operations {
			fmt.Fprintf(&b, " %s |", verdict(o, m.at(r, o.op, guarded)))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	return b.String()
}

// verdict is what the matrix says of a cell.
func verdict(o operation, f *found) string {
	switch {
	case f.err == nil:
		return "ok"
	case o.op == resilient.OpHealth:
		return "fails" // its class is nobody's concern
	case !o.op.Writes() || f.class != resilient.Failed:
		return f.class.String()
	case len(o.changed) > 1:
		return "ambiguous" // how many keys get through is a matter of chance
	case f.later > f.effect:
		return "ambiguous: applied later"
	}
	return "ambiguous: " + f.later.String()
}

// TestTheFaultsAreToldInTheDocument: who reads the matrix must know what its
// rows mean.
func TestTheFaultsAreToldInTheDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| fault | what the network does |\n|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.does)
	}
	b.WriteString("\n")
	require.NotEmpty(t, faults)
	compattest.Keep(t, "network.md", "faults", b.String(), "make unit-tools")
}
