package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswersGoFromFreshToStaleToNone(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, start(t.Context(), &out))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 4)
		require.Equal(t, `the store works:   "Ada" from bolt`, lines[0])
		require.Equal(t, `the store is away: "Ada" from mem, 300ms old`, lines[1])
		require.Regexp(t, `^1.2s later:        get on bolt: refused: `, lines[2])
		require.Regexp(t, `^a write:           set on bolt: refused: `, lines[3])
	})
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestFileThatCannotBeOpenedIsAnError(t *testing.T) {
	_, _, err := open(t.TempDir())
	require.Error(t, err)
}
