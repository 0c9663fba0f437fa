//go:build planted

package failover_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// plantedBugs are the rules that are left out one at a time, with a scenario
// that must notice. The bug serveprev is not among them: it takes a read that
// spans two writes and ends between an effect and its answer, which the
// simulation meets once in thousands of seeds; TestModel has it every time.
var plantedBugs = []struct{ bug, scenario, rule string }{
	{"nooverlay", "mirror", "reads look at the overlay first"},
	{"nowait", "mirror", "reads wait while a write is undecided"},
	{"nowait", "handoff", "reads wait until a write in turn is over"},
	{"norelookup", "handoff", "every further attempt looks up again"},
	{"ambfail", "mirror", "an ambiguous write is rolled forward"},
	{"ambrefuse", "mirror", "an ambiguous write is not taken for a refused one"},
	{"ambown", "mirror", "without an OK all members are owed an ambiguous write"},
	{"ambforget", "mirror", "a member that may have applied a write is owed it"},
	{"refforget", "mirror", "a member that refused a write is owed it"},
	{"partialfail", "mirror", "one OK acknowledges, whoever refused"},
	{"noquiesce-write", "mirror", "an OK on top of an earlier call does not clear a member"},
	{"noquiesce-handback", "mirror", "nothing is handed back while an earlier call can apply"},
	{"nojournal", "mirror-crash", "what is owed is durable before the acknowledgement"},
	{"nojournal", "handoff-alone", "what is owed is durable before the acknowledgement"},
	{"lateintent", "strict-crash", "the intent is durable before anything is sent"},
	{"lateintent", "handoff-crash", "the intent is durable before another member is sent a write"},
	{"stalehint", "handoff-alone", "a key with a record gets the intent into it first"},
	{"lazyrevert", "strict-crash", "a refused write is durably taken back first"},
	{"norestarttaint", "strict-crash", "after a crash every key is taken for tainted"},
	{"rebuildraw", "mirror-rebuild", "Rebuild leaves a key with an entry to hand-back"},
	{"copynolock", "mirror-rebuild", "Rebuild copies under the key's lock"},
	{"keepunlisted", "mirror-rebuild", "Rebuild removes what the first member has not"},
	{"noquiesce-rebuild", "mirror-rebuild", "Rebuild waits for calls of the process before"},
	{"noclean", "handoff", "what another member took is removed there"},
	{"cleanack", "handoff", "a removal is owed from before the call, not from its OK"},
	{"cleanhit", "handoff", "a copy that is to be removed is not read"},
	{"cleannolock", "handoff", "a copy is removed under its key's lock"},
	{"noquiesce-clean", "handoff", "nothing is removed while an earlier call can apply"},
	{"nocleanrec", "handoff-crash", "a removal outlives hand-back in the journal"},
	{"handcomplete", "handoff", "a miss on a stand-in is no answer"},
}

// TestPlantedBugsAreCaught plays the simulation, with the seeds that pass
// without bugs, against each planted bug until it is noticed.
func TestPlantedBugsAreCaught(t *testing.T) {
	seeds := envInt("HOLDFAST_SEEDS", 5000)
	defer failover.Plant("")
	for _, b := range plantedBugs {
		t.Run(b.bug+"/"+b.scenario, func(t *testing.T) {
			failover.Plant(b.bug)
			v := play(t, scenarioNamed(t, b.scenario), 1, seeds)
			fmt.Printf("RESULT kind=planted bug=%s mode=%s caught_after_seeds=%d rule=%q lost_acked=%d wrong_reads=%d resurrected=%d not_live=%d\n",
				b.bug, b.scenario, v.bad, b.rule, v.lost, v.wrong, v.resurrected, v.notLive)
			require.NotZero(t, v.bad, "not noticed in %d seeds", seeds)
		})
	}
}

func scenarioNamed(t *testing.T, name string) scenario {
	for _, sc := range scenarios {
		if sc.name == name {
			return sc
		}
	}
	require.Fail(t, "no scenario", name)
	return scenario{}
}
