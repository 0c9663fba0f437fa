package rediskv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// TestRegression_ConnectionsStayedWithTheOldPrimary: the name of the primary
// points to another server, and the old one is a replica by now.
func TestRegression_ConnectionsStayedWithTheOldPrimary(t *testing.T) {
	for name, discover := range map[string]func(t *testing.T, kv *KV) error{
		"by a write":   func(t *testing.T, kv *KV) error { return kv.SetRaw(t.Context(), "key", nil) },
		"by a batch":   func(t *testing.T, kv *KV) error { return kv.BatchDelete(t.Context(), []string{"a", "b"}) },
		"by its check": func(t *testing.T, kv *KV) error { return kv.Health(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			before, after := unsynced(t), unsynced(t)
			address := servertest.NewName(t, before)
			kv, err := Open("redis://"+address.Addr(), Config{DialTimeout: patience})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, kv.Close()) })
			l := kv.via.(*lanes)
			require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("old")))
			require.NoError(t, open(t, after, Config{}).SetRaw(t.Context(), "key", []byte("new")))
			onEach(t, l, 4, "old")

			busy := l.lease() // while a call has it
			do(t, before, "REPLICAOF", "127.0.0.1", "1")
			address.Point(after)
			require.ErrorIs(t, discover(t, kv), resilient.ErrRefused)
			l.giveBack(busy)
			onEach(t, l, 4, "new")
			require.NoError(t, kv.Health(t.Context()))

			// One that stays a replica is not left for each of its answers.
			do(t, after, "REPLICAOF", "127.0.0.1", "1")
			l.mu.left = time.Now().Add(time.Hour)
			for range 4 {
				require.ErrorIs(t, discover(t, kv), resilient.ErrRefused)
			}
			require.Len(t, l.mu.all, 4)
		})
	}
}

// onEach reads the key on so many lanes at once.
func onEach(t *testing.T, l *lanes, n int, want string) {
	t.Helper()
	var held []*lane
	for range n {
		ln := l.lease()
		held = append(held, ln)
		value, err := ln.client.Get(t.Context(), defaultNamespace+":key").Result()
		require.NoError(t, err)
		require.Equal(t, want, value)
	}
	for _, ln := range held {
		l.giveBack(ln)
	}
}
