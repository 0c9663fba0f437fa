package rediskv

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/resilient"
)

// allSlots is how many a cluster has.
const allSlots = 16384

// errMoving is of the class Conflict: nothing is wrong with the servers, and the
// same call succeeds later.
var errMoving = &judged{class: resilient.Conflict, text: "a list could lack keys: the cluster has slots that are on their way to another server, or that none has"}

// scanCluster asks each master, on one connection. A key that moves from a
// master that was not yet asked to one that was would be missing: it fails
// unless each slot was with a master that had it before and after its SCANs and
// was not giving it away. A server that does not tell is believed.
func scanCluster(ctx context.Context, cluster *redis.ClusterClient, pattern string) ([]string, error) {
	var all struct {
		sync.Mutex
		keys  []string
		slots int
		blind bool // a master did not tell
	}
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		conn := c.Conn()
		defer conn.Close() // gives it back
		before, told, err := slotsOf(ctx, conn)
		if err != nil {
			return err
		}
		keys, err := scan(ctx, conn, pattern)
		if err != nil {
			return err
		}
		after, _, err := slotsOf(ctx, conn)
		if err != nil {
			return err
		}
		slots, resting := count(before)
		if told && (!resting || !slices.Equal(before, after)) {
			return errMoving
		}
		all.Lock()
		defer all.Unlock()
		all.keys, all.slots, all.blind = append(all.keys, keys...), all.slots+slots, all.blind || !told
		return nil
	})
	if err == nil && !all.blind && all.slots != allSlots {
		err = errMoving
	}
	return all.keys, err
}

// slotsOf returns what the server says of its own slots in CLUSTER NODES:
// "0-8191", "9000", and "[77->-node]" for one that is being given away; told is
// false if it does not say.
func slotsOf(ctx context.Context, conn *redis.Conn) (slots []string, told bool, err error) {
	nodes, err := conn.ClusterNodes(ctx).Result()
	if isReply(err) { // it is not for this user, or unknown
		return nil, false, nil
	}
	for line := range strings.Lines(nodes) {
		// id, address, flags, master, two times, epoch, link; then the slots
		words := strings.Fields(line)
		if len(words) >= 8 && slices.Contains(strings.Split(words[2], ","), "myself") {
			return words[8:], true, err
		}
	}
	return nil, false, err
}

// count returns how many slots there are, and whether all of them rest.
func count(slots []string) (n int, resting bool) {
	for _, s := range slots {
		first, last, isRange := strings.Cut(s, "-")
		from, err := strconv.Atoi(first)
		if err != nil {
			return n, false
		}
		to := from
		if isRange {
			if to, err = strconv.Atoi(last); err != nil {
				return n, false
			}
		}
		n += to - from + 1
	}
	return n, true
}
