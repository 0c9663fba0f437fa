package failover_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files model_*_test.go are the specification of how a group keeps a key:
// a small model of it that runs, and an explorer that takes the model through
// everything that can happen to it. A change to the rules is made here first:
// add the step, add a mutant that leaves the rule out, see the mutant caught
// and the rest hold; then change the package.
//
// Read model_state_test.go first (what there is), then model_write_test.go
// (what a write does), model_steps_test.go (what members and reads do) and
// model_repair_test.go (journal, hand-back, removal, crash). model_spec_test.go
// says what clients may be told, and model_explore_test.go what must be true
// when nothing is owed. model_mutants_test.go lists the rules, each with what
// goes wrong without it.
//
// The model has one key, two members and up to four clients that make one call
// each. A member's call is sent, applied and answered in steps of its own;
// between any two steps anything else can happen: a member goes down and
// refuses, a call times out and is applied later or never, an answer is lost,
// the route changes, the process crashes. Nothing is drawn at random: all
// orders are visited, so a fault that a scenario does not show is not there
// within its bounds, which are how often a member goes down, an answer is lost
// and the process crashes. The route is no part of the state: a call takes
// whichever order suits it worst. Calls begin as late and end as early as they
// can, which is the strictest for what they may be told.
//
// The rules:
//   - A write holds its key's lock from before it is published to its end, and
//     so do hand-backs and removals.
//   - While a write is undecided every read of its key waits. Mirror: the first
//     answer that is no refusal decides it; Handoff: its end does. From then on
//     the entry answers reads until no member is owed the version. Every retry
//     of a read looks up again.
//   - Mirror sends to both members side by side; one in doubt is sent to only
//     if the other has refused. Whoever has not answered OK is owed the write.
//   - Handoff sends to one member after the other until one answers OK. What
//     the first has not got is owed to it; what the second may have got is
//     removed there, once the first is owed nothing.
//   - A write that all refused is taken back. One that a member may have is
//     rolled forward, and acknowledged; without an OK and without a durable
//     journal its client is told that it is ambiguous.
//   - While an abandoned call to a member can still apply, that member is
//     tainted: nothing is handed back to it or removed there, and its OK to a
//     call that was sent meanwhile does not clear what it is owed. After a start
//     without a clean close all are.
//   - What is owed is durable before the answer. The intent is durable before
//     anything is sent in MirrorStrict, before the second is sent to in Handoff,
//     and for a key that has a record in every mode. Records are removed later;
//     after a restart intents are rolled forward.
//
// The guarantee is that what clients are told is linearizable, and that the
// members agree when nothing is owed (Handoff: that the second is empty). A
// crash leaves less of it in Mirror, where a write that it cuts off may be seen
// and un-seen, and with a memory journal, where what was owed is lost; see
// loosen.
//
// What the model leaves out: batches, several processes, and more than one
// abandoned call at a member at a time. A hand-back is one step. The end of the
// ambiguity window is taken at its word: nothing applies after it. In Mirror
// all members are complete. Rebuild is not built, and not here.
//
// To see the shortest way to each fault that a missing rule leads to:
//
//	go test ./failover -run TestModel/Needs -v

// modelClients is how many clients a state has room for.
const modelClients = 4

// model is a scenario: what there is to explore.
type model struct {
	mode    modelMode
	memory  bool // the journal ends with the process
	leaving bool // a write may go on without a call that then answers after all
	ops     []modelOp
	downs   uint8 // how often a member goes down
	losses  uint8 // how often a call is abandoned or its answer lost
	crashes uint8
	without modelRule

	spec *modelSpec
	out  []modelStep
}

type modelMode uint8

const (
	inMirror modelMode = iota
	inStrict
	inHandoff
)

// modelOp is what a client asks for.
type modelOp struct {
	name  string
	write bool
	value uint8
}

// modelOps reads operations: W1 and W2 write 1 and 2, D deletes, R reads.
func modelOps(names string) []modelOp {
	known := map[string]modelOp{
		"W1": {"W1", true, 1}, "W2": {"W2", true, 2}, "D": {"D", true, noValue}, "R": {"R", false, 0},
	}
	var ops []modelOp
	for _, name := range strings.Fields(names) {
		ops = append(ops, known[name])
	}
	return ops
}

func (m *model) String() string {
	s := []string{"Mirror", "MirrorStrict", "Handoff"}[m.mode]
	if m.memory {
		s += " memory"
	}
	for _, o := range m.ops {
		s += " " + o.name
	}
	if m.leaving {
		s += " leaving"
	}
	return fmt.Sprintf("%s downs=%d losses=%d crashes=%d", s, m.downs, m.losses, m.crashes)
}

// modelScenarios are explored to the end.
func modelScenarios() []model {
	w1rr, w1w2r, w1dr, w1w2rr := modelOps("W1 R R"), modelOps("W1 W2 R"), modelOps("W1 D R"), modelOps("W1 W2 R R")
	return []model{
		{mode: inMirror, memory: true, ops: w1rr, downs: 2, losses: 2},
		{mode: inMirror, memory: true, ops: w1dr, downs: 1, losses: 1},
		{mode: inMirror, memory: true, ops: w1w2rr},
		{mode: inMirror, memory: true, ops: w1w2r, losses: 2, leaving: true},
		{mode: inMirror, memory: true, ops: w1rr, downs: 1, losses: 1, crashes: 1},
		{mode: inMirror, ops: w1rr, downs: 1, losses: 1, crashes: 1},
		{mode: inMirror, ops: w1w2r, losses: 1, crashes: 1},
		{mode: inMirror, ops: w1w2rr, losses: 1, crashes: 1},
		{mode: inStrict, ops: w1rr, downs: 1, losses: 1, crashes: 1},
		{mode: inStrict, ops: w1dr, losses: 1, crashes: 1},
		{mode: inStrict, ops: w1w2r, losses: 1, crashes: 2},
		{mode: inStrict, ops: w1w2r, losses: 1, crashes: 1, leaving: true},
		{mode: inStrict, ops: modelOps("W1 D R R"), losses: 1, crashes: 1},
		{mode: inHandoff, memory: true, ops: w1rr, downs: 2, losses: 2},
		{mode: inHandoff, memory: true, ops: w1dr, downs: 1, losses: 2},
		{mode: inHandoff, memory: true, ops: w1w2rr, downs: 1},
		{mode: inHandoff, memory: true, ops: w1w2r, losses: 2, leaving: true},
		{mode: inHandoff, memory: true, ops: w1rr, downs: 1, losses: 1, crashes: 1},
		{mode: inHandoff, ops: w1rr, downs: 1, losses: 2, crashes: 1},
		{mode: inHandoff, ops: w1dr, downs: 1, crashes: 1},
		{mode: inHandoff, ops: w1dr, losses: 1, crashes: 1},
		{mode: inHandoff, ops: w1w2rr, crashes: 1},
		{mode: inHandoff, ops: w1w2r, losses: 1, crashes: 2},
		{mode: inHandoff, ops: w1w2r, losses: 1, crashes: 1, leaving: true},
	}
}

func TestModel(t *testing.T) {
	var r modelResult
	t.Run("KeepsItsGuaranteeWhateverHappens", func(t *testing.T) {
		for _, m := range modelScenarios() {
			t.Run(m.String(), func(t *testing.T) { r.holds(t, m) })
		}
	})
	t.Run("NeedsEachOfItsRules", func(t *testing.T) {
		for _, mu := range modelMutants() {
			t.Run(mu.name, func(t *testing.T) { r.catches(t, mu) })
		}
	})
	fmt.Printf("RESULT kind=model scenarios=%d states=%d mutants=%d caught=%d violations=%d\n",
		len(r.explored), r.states, r.mutants, r.caught, r.violations)
}

// modelResult is what all explorations together have shown.
type modelResult struct {
	explored                            map[string]bool // with all rules
	states, mutants, caught, violations int
}

// holds explores m with all rules, once.
func (r *modelResult) holds(t *testing.T, m model) {
	if r.explored[m.String()] {
		return
	}
	if r.explored == nil {
		r.explored = map[string]bool{}
	}
	r.explored[m.String()] = true
	f := m.explore()
	r.states += f.states
	t.Logf("%s: %d states", &m, f.states)
	if f.fault != "" {
		r.violations++
	}
	require.Empty(t, f.fault, "%s: %s", &m, f)
}

// catches explores a mutant in each scenario that must show it, and the same
// scenarios with all rules.
func (r *modelResult) catches(t *testing.T, mu modelMutant) {
	r.mutants++
	require.NotEmpty(t, mu.seen)
	for _, m := range mu.seen {
		r.holds(t, m)
		m.without = mu.without
		f := m.explore()
		r.states += f.states
		require.NotEmpty(t, f.fault, "%s: nothing is wrong when %s (%d states)", &m, mu.instead, f.states)
		t.Logf("%s: when %s, %s", &m, mu.instead, f)
	}
	r.caught++
}
