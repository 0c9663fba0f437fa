package boltjournal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
)

// sealed is a Codec of JSON in AES-GCM.
type sealed struct{ aead cipher.AEAD }

func newSealed(t *testing.T) sealed {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	return sealed{aead}
}

func (s sealed) Marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return s.aead.Seal(nil, nil, text, nil), err
}

func (s sealed) Unmarshal(data []byte, v any) error {
	text, err := s.aead.Open(nil, nil, data, nil)
	return errors.Join(err, json.Unmarshal(text, v))
}

// TestS12_ValuesAreInTheFilesAsTheyAreGiven: as plain text, unless a Codec
// encrypts them. Keys always are.
func TestS12_ValuesAreInTheFilesAsTheyAreGiven(t *testing.T) {
	const key, value = "KEY-7c2f", "VALUE-7c2f"
	for _, c := range []struct {
		codec resilient.Codec
		plain bool
	}{{resilient.JSON, true}, {newSealed(t), false}} {
		dir := t.TempDir()
		store, journal := filepath.Join(dir, "store.db"), filepath.Join(dir, "journal.db")
		j, err := boltjournal.Open(journal, boltjournal.Config{})
		require.NoError(t, err)
		first, err := boltkv.Open(store, boltkv.Config{})
		require.NoError(t, err)
		second, err := boltkv.Open(filepath.Join(dir, "second.db"), boltkv.Config{})
		require.NoError(t, err)
		group, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true, Journal: j}, first, second)
		require.NoError(t, err)
		require.NoError(t, group.Drain(group.Status().Members[1].Name)) // it is owed what it misses
		texts := resilient.Of[string](group, c.codec)
		require.NoError(t, texts.Set(t.Context(), key, value))
		got, err := texts.Get(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, value, got)
		for _, path := range []string{store, journal} {
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Contains(t, string(file), key)
			if c.plain {
				require.Contains(t, string(file), value)
			} else {
				require.NotContains(t, string(file), value)
			}
		}
		require.NoError(t, group.Close())
	}
}
