package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestLedgerKnowsWhatItsOwnClientMustRead(t *testing.T) {
	l := newLedger([]string{"k"})
	one, two := []byte("k#1"), []byte("k#2")
	require.NoError(t, l.own("k", nil))
	require.Error(t, l.own("k", one), "nobody wrote it")

	l.end("k", l.begin("k", false), nil)
	require.NoError(t, l.own("k", one))
	require.Error(t, l.own("k", nil), "lost")
	require.Error(t, l.own("k", []byte{}), "emptied")

	l.end("k", l.begin("k", false), resilient.ErrRefused)
	require.NoError(t, l.own("k", one))
	require.Error(t, l.own("k", two), "refused, and applied")

	l.end("k", l.begin("k", true), errors.New("unknown"))
	require.NoError(t, l.own("k", one), "the delete may not have been applied")
	require.NoError(t, l.own("k", nil), "or it may")
	require.NoError(t, l.listed("k", true))
	require.NoError(t, l.listed("k", false))

	l.end("k", l.begin("k", true), nil)
	require.NoError(t, l.own("k", nil))
	require.Error(t, l.own("k", one), "resurrected")
	require.NoError(t, l.listed("k", false))
	require.Error(t, l.listed("k", true))
	require.Equal(t, 1, l.everAcked())
}

func TestLedgerKnowsWhatOthersMayRead(t *testing.T) {
	l := newLedger([]string{"k"})
	require.NoError(t, l.foreign("k", 0, nil))
	require.Error(t, l.foreign("k", 0, []byte("k#1")), "not written yet")

	l.end("k", l.begin("k", false), nil)
	under := l.begin("k", false)
	acked := l.acked("k")
	require.NoError(t, l.foreign("k", acked, []byte("k#1")))
	require.NoError(t, l.foreign("k", acked, []byte("k#2")), "under way")
	require.Error(t, l.foreign("k", acked, []byte("k#3")), "not written yet")
	require.Error(t, l.foreign("k", acked, nil), "never deleted")
	l.end("k", under, nil)
	require.NoError(t, l.foreign("k", acked, []byte("k#1")), "the read began before")
	acked = l.acked("k")
	require.Error(t, l.foreign("k", acked, []byte("k#1")), "stale")
	require.Error(t, l.foreign("k", acked, []byte("j#2")), "another key's")
	require.Error(t, l.foreign("k", acked, []byte("k")), "nobody's")
	l.begin("k", true)
	require.NoError(t, l.foreign("k", acked, nil), "a delete is under way")
}
