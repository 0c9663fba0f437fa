package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// program is a file that must be there to start a server.
type program struct {
	variable string // of the environment: the path of the program, before any other
	name     string
	dirs     []string // patterns of folders where Debian puts it, apart from PATH
	debian   string   // the package that has it; "" = make servers builds it in bin/
}

// find returns the path of p, or skips the test.
func (p program) find(tb testing.TB) string {
	tb.Helper()
	path, err := p.look()
	if err != nil {
		tb.Skip(err)
	}
	return path
}

func (p program) look() (string, error) {
	if path := os.Getenv(p.variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", p.variable, err)
		}
		return path, nil
	}
	if !supported {
		return "", fmt.Errorf("%s is started on Linux only", p.name)
	}
	if p.debian == "" {
		if path := built(p.name); path != "" {
			return path, nil
		}
		return "", fmt.Errorf("%s is not here: make servers builds it, or set %s to its path", p.name, p.variable)
	}
	if path, err := exec.LookPath(p.name); err == nil {
		return path, nil
	}
	for _, dir := range p.dirs {
		found, _ := filepath.Glob(filepath.Join(dir, p.name))
		if len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("%s is not here: install Debian's %s or set %s to its path", p.name, p.debian, p.variable)
}

// built returns the path of a program in the folder bin of this repository; ""
// if it is not there.
func built(name string) string {
	dir, err := os.Getwd()
	for err == nil {
		path := filepath.Join(dir, "bin", name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return ""
}
