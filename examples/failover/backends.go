package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/resilient"
)

// namespace is the part of each store that the example uses, and empties before
// and after: bucket, prefix or table.
const namespace = "holdfast_demo"

// backend opens the store that url names. Files without a path are made in dir.
type backend struct {
	name string
	open func(url, dir string) (resilient.KVWithHealth, error)
}

// backends are known by the scheme of the URL.
var backends = map[string]backend{
	"bolt": {"bolt", func(url, dir string) (resilient.KVWithHealth, error) {
		return boltkv.Open(path(url, dir, "bolt.db"), boltkv.Config{Namespace: namespace})
	}},
	"badger": {"badger", func(url, dir string) (resilient.KVWithHealth, error) {
		return badgerkv.Open(path(url, dir, "badger"), badgerkv.Config{Namespace: namespace})
	}},
	"redis":      {"redis", openRedis},
	"rediss":     {"redis", openRedis},
	"postgres":   {"postgres", openPostgres},
	"postgresql": {"postgres", openPostgres},
	"mysql": {"mysql", func(url, _ string) (resilient.KVWithHealth, error) {
		// The driver's own form is no URL: user:password@tcp(host:port)/database.
		return mysqlkv.Open(strings.TrimPrefix(url, "mysql://"), mysqlkv.Config{Namespace: namespace})
	}},
}

func openRedis(url, _ string) (resilient.KVWithHealth, error) {
	return rediskv.Open(url, rediskv.Config{Namespace: namespace})
}

func openPostgres(url, _ string) (resilient.KVWithHealth, error) {
	return postgreskv.Open(url, postgreskv.Config{Namespace: namespace})
}

// scheme returns the part of url before its first colon.
func scheme(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme
}

// path returns the path in a URL such as bolt:PATH; without one, name in dir.
func path(url, dir, name string) string {
	if path := strings.TrimPrefix(strings.TrimPrefix(url, scheme(url)+":"), "//"); path != "" {
		return path
	}
	return filepath.Join(dir, name)
}

// knownSchemes returns what a URL may begin with.
func knownSchemes() string {
	var names []string
	for name := range backends {
		names = append(names, name+":")
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// emptyWithin bounds how long emptying a store may take.
const emptyWithin = 10 * time.Second

// empty deletes all that is in the namespace of kv.
func empty(kv resilient.KVWithHealth) error {
	ctx, cancel := context.WithTimeout(context.Background(), emptyWithin)
	defer cancel()
	keys, err := kv.List(ctx, "")
	if err != nil {
		return err
	}
	many, ok := kv.(resilient.Batcher)
	if !ok {
		return errors.New("it serves no batches")
	}
	return many.BatchDelete(ctx, keys)
}

// openDisk opens the store that url names, empty. Its errors do not hold url,
// which may hold a password.
func openDisk(url, dir string) (name string, kv resilient.KVWithHealth, err error) {
	b := backends[scheme(url)]
	if kv, err = b.open(url, dir); err != nil {
		return "", nil, err
	}
	if err := empty(kv); err != nil {
		return "", nil, errors.Join(fmt.Errorf("emptying %s: %w", b.name, err), kv.Close())
	}
	return b.name, kv, nil
}
