package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestADiskKeepsItsFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	disk := func(floor, free int64, err error) *Disk {
		d, newErr := NewDisk(path, info, floor)
		require.NoError(t, newErr)
		d.free = func(string) (int64, error) { return free, err }
		return d
	}
	for name, c := range map[string]struct {
		disk     *Disk
		incoming int64
		ok       bool
	}{
		"above":                        {disk(100, 100, nil), 0, true},
		"below":                        {disk(100, 99, nil), 0, false},
		"a write down to half of it":   {disk(100, 100, nil), 50, true},
		"a write below half of it":     {disk(100, 100, nil), 51, false},
		"no floor":                     {disk(-1, 0, nil), 51, true},
		"a platform that cannot tell":  {disk(100, 0, errUnknownSpace), 0, true},
		"a file system that cannot":    {disk(100, 200, errors.New("broken")), 0, false},
		"what the system itself tells": {&Disk{path: path, info: info, floor: 1, free: freeBytes}, 0, true},
	} {
		err := c.disk.Check(c.incoming)
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, resilient.ErrRefused, name)
		}
	}
}

func TestS27_ADiskKnowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	d, err := NewDisk(path, info, -1)
	require.NoError(t, err)
	require.NoError(t, d.Check(0))
	require.NoError(t, os.Rename(path, path+".kept"))
	require.ErrorIs(t, d.Check(0), resilient.ErrRefused)
	require.ErrorIs(t, d.Check(0), os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorIs(t, d.Check(0), resilient.ErrRefused)
	require.NoError(t, os.Rename(path+".kept", path))
	require.NoError(t, d.Check(0))
}

func TestS11_APanicBecomesAnErrorWithoutItsText(t *testing.T) {
	var none []int
	for name, fn := range map[string]func() error{
		"text":    func() error { panic("SECRET") },
		"error":   func() error { panic(errors.New("SECRET")) },
		"runtime": func() error { none[0]++; return nil },
	} {
		err := Shield(fn)
		require.ErrorIs(t, err, resilient.ErrUnavailable, name)
		require.NotContains(t, err.Error(), "SECRET")
		var p *Panic
		require.ErrorAs(t, err, &p)
		require.NotNil(t, p.Value())
	}
	require.NoError(t, Shield(func() error { return nil }))
	require.ErrorIs(t, Shield(func() error { return os.ErrExist }), os.ErrExist)
}
