package rediskv

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

// scanCount is how many keys the server looks at for one answer of SCAN; its
// own default of 10 would be a round trip for each ten keys.
const scanCount = 1000

// List returns the keys with prefix, whatever their type. A key that is there
// all the while is in it; one that comes or goes meanwhile may be. Its cost
// grows with all that the database holds, other namespaces included; the
// server answers other calls in between. It fails if the server's connection
// ends meanwhile, and while a cluster moves slots.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []string
	err = k.call(ctx, false, func(ctx context.Context, c redis.UniversalClient) (err error) {
		found, err = scanAll(ctx, c, literal(k.prefix+prefix)+"*")
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(found))
	for _, key := range found {
		keys = append(keys, strings.TrimPrefix(key, k.prefix))
	}
	keys = guard.Listed(keys) // without the library's own, which begin with reserved
	// SCAN may return a key more than once.
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// literal returns a glob that matches s and nothing else.
func literal(s string) string { return globs.Replace(s) }

var globs = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `\`, `\\`)

// scanAll asks the server, or each master of a cluster.
func scanAll(ctx context.Context, c redis.UniversalClient, pattern string) ([]string, error) {
	switch c := c.(type) {
	case *redis.ClusterClient:
		return scanCluster(ctx, c, pattern)
	case interface{ Conn() *redis.Conn }:
		conn := c.Conn()
		defer conn.Close() // gives it back
		return scan(ctx, conn, pattern)
	}
	return scan(ctx, c, pattern)
}

// scan asks one server, which c must not change in between: a cursor means
// nothing to another one, nor to the same one once it was started again, and
// keys would be missing. On one connection that cannot be.
func scan(ctx context.Context, c redis.Cmdable, pattern string) (keys []string, err error) {
	for cursor := uint64(0); ; {
		var some []string
		some, cursor, err = c.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return nil, err
		}
		keys = append(keys, some...)
		if cursor == 0 {
			return keys, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}
