package badgerkv

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/classtest"
)

func FuzzKeysOfNamespacesAreApart(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b, key, other string) {
		a, b = a[:min(len(a), maxNamespace)], b[:min(len(b), maxNamespace)]
		s, o := newKeyspace(a), newKeyspace(b)
		require.Equal(t, key, s.name(s.key(key)))
		require.Equal(t, a == b && key == other, bytes.Equal(s.key(key), o.key(other)))
		if a != b {
			require.False(t, bytes.HasPrefix(o.key(other), s.key("")), "List would show another's key")
		}
		for _, own := range [][]byte{s.canary, []byte("!badger!")} {
			require.False(t, bytes.HasPrefix(own, o.key("")))
			require.NotEqual(t, own, o.key(other))
		}
	})
}

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			badger.ErrKeyNotFound, badger.ErrConflict, badger.ErrBlockedWrites, badger.ErrDBClosed, badger.ErrReadOnlyTxn, badger.ErrTruncateNeeded,
			badger.ErrEncryptionKeyMismatch, badger.ErrEmptyKey, badger.ErrInvalidKey, badger.ErrBannedKey, badger.ErrTxnTooBig, badger.ErrDiscardedTxn,
			conceal(errors.New(text)), ambiguous(badger.ErrConflict), ambiguous(badger.ErrTxnTooBig),
		}
	})
}
