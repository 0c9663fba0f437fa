package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFilesObeyTheContract(t *testing.T) {
	var dir string
	kvtest.Run(t, kvtest.Harness{
		Open: func(tb testing.TB) resilient.KVWithHealth {
			dir = tb.TempDir()
			return &Files{dir: dir}
		},
		Reopen: func(testing.TB) resilient.KVWithHealth { return &Files{dir: dir} },
		Second: func(testing.TB) resilient.KVWithHealth { return &Files{dir: dir} },
	})
}

func TestFolderThatIsGoneIsAnOutageAndNoMiss(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sub")
	require.NoError(t, os.Mkdir(dir, 0o700))
	f := &Files{dir: dir}
	require.NoError(t, f.Health(t.Context()))
	require.NoError(t, os.Remove(dir))
	require.Error(t, f.Health(t.Context()))
	_, err := f.GetRaw(t.Context(), "key")
	require.Error(t, err)
	require.NotErrorIs(t, err, resilient.ErrNotFound)
	require.Error(t, f.Delete(t.Context(), "key"))
	_, err = f.List(t.Context(), "")
	require.Error(t, err)
}

func TestDamagedFileIsAnErrorAndNoValue(t *testing.T) {
	f := &Files{dir: t.TempDir()}
	require.NoError(t, f.SetRaw(t.Context(), "key", []byte("value")))
	path, err := f.path(t.Context(), "key")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 2))
	_, err = f.GetRaw(t.Context(), "key")
	require.Error(t, err)
	require.NotErrorIs(t, err, resilient.ErrNotFound)
}

func TestProgramTellsWhatItFinds(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, start(t.Context(), &out, nil))
	require.Equal(t, "files is closed and has 2 keys: [colour shape]\ncolour is green\n", out.String())
}

func TestFolderGivenByPathIsKept(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	require.NoError(t, start(t.Context(), &out, []string{dir}))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
}
