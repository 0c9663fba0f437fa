package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSecondRunSeesTheFirstOnesWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits.db")
	var out bytes.Buffer
	for range 2 {
		require.NoError(t, start(t.Context(), &out, []string{path}))
	}
	require.Equal(t, "ann has come 1 time(s); the store bolt is closed\n"+
		"ann has come 2 time(s); the store bolt is closed\n", out.String())
}

func TestWithoutAPathNothingIsLeftBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out bytes.Buffer
	require.NoError(t, start(t.Context(), &out, nil))
	require.Contains(t, out.String(), "ann has come 1 time(s)")
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPathThatIsAFolderIsAnError(t *testing.T) {
	require.Error(t, start(t.Context(), &bytes.Buffer{}, []string{t.TempDir()}))
}
