package boltjournal

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfastkv/holdfast/failover"
)

// The test binary is a process that is going to be killed if killDir names the
// folder of a group; killFate is how, as JSON.
const (
	killDir  = "BOLTJOURNAL_KILL_DIR"
	killFate = "BOLTJOURNAL_KILL_FATE"
)

// aim is where a process is killed.
type aim string

const (
	anywhere   aim = "anywhere"    // from outside, while it writes
	inOpening  aim = "opening"     // from outside, while it starts and recovers
	inCommit   aim = "commit"      // while a commit is under way
	inHandBack aim = "hand-back"   // while a member gets what it was owed
	inOldOne   aim = "old backlog" // while a member gets what an earlier process owed it
	inClosing  aim = "closing"     // while the group closes
)

// aims are those of each twenty kills. An old backlog is handed back after 2 s
// only, so there are few of them.
var aims = map[aim]int{anywhere: 3, inOpening: 3, inClosing: 2, inCommit: 5, inHandBack: 6, inOldOne: 1}

// fate is the life of one process.
type fate struct {
	Life  int
	Mode  failover.Writes
	Aim   aim
	After time.Duration // from the first write on, or with inOpening from the start
	Seed  uint64
	Hasty bool // its journal answers before it is durable
}

// fates draws n lives of a group.
func fates(n int, mode failover.Writes, rng *rand.Rand) (all []fate) {
	var deck []aim
	for len(all) < n {
		if len(deck) == 0 {
			for _, a := range []aim{anywhere, inOpening, inClosing, inCommit, inHandBack, inOldOne} {
				for range aims[a] {
					deck = append(deck, a)
				}
			}
			rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := fate{Life: len(all), Mode: mode, Aim: deck[0], Seed: rng.Uint64()}
		deck = deck[1:]
		switch f.Aim {
		case inOpening:
			f.After = time.Duration(rng.IntN(120)) * time.Millisecond
		case inOldOne:
			f.After = 2 * time.Second
		default:
			f.After = time.Duration(20+rng.IntN(180)) * time.Millisecond
		}
		all = append(all, f)
	}
	return all
}

// env is what the process of f in dir is told.
func (f fate) env(dir string) []string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return []string{killDir + "=" + dir, fmt.Sprintf("%s=%s", killFate, b)}
}
