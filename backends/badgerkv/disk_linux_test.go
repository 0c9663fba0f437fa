package badgerkv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system with the given options of tmpfs.
func smallDisk(tb testing.TB, options string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		tb.Skipf("a full disk needs the right to mount a tmpfs (run as root): %v", err)
	}
	tb.Cleanup(func() { require.NoError(tb, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestAFullDiskIsARefusalAndNotTheEndOfTheProcess(t *testing.T) {
	mount := smallDisk(t, "size=352m")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+filepath.Join(mount, "store"))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, childRefused, exit.ExitCode(), "%.2000s", out)
}
