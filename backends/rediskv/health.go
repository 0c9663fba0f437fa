package rediskv

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/resilient"
)

// reserved begins what follows the colon in the library's own keys. No key of
// the contract has a control character, and they share the namespace's prefix
// so that a user who may touch no other keys can be checked too.
const reserved = "\x00"

const canaryExpiry = 10 * time.Second

// ballast is the value that is never stored. The server must have room for it
// all the same, as much as it takes to read a new client's first command
// (PROTO_IOBUF_LEN in 7.0.15): one that is only just not full is not healthy.
var ballast [16 << 10]byte

var (
	errReplica = &judged{class: resilient.Refused, text: "the server is a replica and keeps no writes"}
	errCanary  = &judged{text: "the server does not give back what was just written"}
)

// Health returns nil if the server carries out writes and reads now. It sends,
// in one round trip, a SET with XX of a key that never exists, a GET and ROLE:
// the SET is refused or held up by all that refuses or holds up a write (full
// memory, a full disk, a read-only replica, too few replicas, CLIENT PAUSE, no
// permission, a cluster that is down) and changes nothing. A replica is
// refused even if it takes writes, for it loses them. A user who may not use
// ROLE is not told of by it.
//
// With a cluster it does so at one key, and asks each master for a PING: the
// memory and disks of the other masters are not looked at.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return k.call(ctx, false, func(ctx context.Context, c redis.UniversalClient) error {
		if err := k.probe(ctx, c); err != nil {
			return err
		}
		if cluster, ok := c.(*redis.ClusterClient); ok {
			return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
		}
		return nil
	})
}

// probe asks the server whether it writes and reads.
func (k *KV) probe(ctx context.Context, c redis.UniversalClient) error {
	var (
		never  = k.prefix + reserved + "never"
		canary = k.prefix + reserved + "canary:" + rand.Text()
		nonce  = rand.Text()
		role   *redis.Cmd
		back   *redis.StringCmd
	)
	_, cluster := c.(*redis.ClusterClient)
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SetXX(ctx, never, ballast[:], 0)
		p.Get(ctx, never)
		if !cluster { // whose client finds the masters, and would ask any node
			role = p.Do(ctx, "ROLE")
		}
		if k.cfg.Canary {
			p.Set(ctx, canary, nonce, canaryExpiry)
			back = p.Get(ctx, canary)
			p.Del(ctx, canary)
		}
		return nil
	})
	if role != nil {
		if isReplica(role) {
			return errReplica
		}
		if isReply(role.Err()) {
			cmds = slices.DeleteFunc(cmds, func(c redis.Cmder) bool { return c == redis.Cmder(role) })
			err = cmds[0].Err() // what Pipelined returned may be role's
		}
	}
	if err := firstFault(cmds, err); err != nil {
		return err
	}
	if back != nil && back.Val() != nonce {
		return errCanary
	}
	return nil
}

// isReplica reports whether ROLE said so; an answer of another form tells
// nothing.
func isReplica(role *redis.Cmd) bool {
	answer, err := role.Slice()
	return err == nil && len(answer) > 0 && answer[0] == "slave"
}

func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
