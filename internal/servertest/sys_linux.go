package servertest

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const supported = true

// attributes are those of a server's process: it leads a group of its own, ends
// when the thread that started it does, and runs as who.
func attributes(who string) (*syscall.SysProcAttr, error) {
	attr, err := credentials(who)
	if err == nil {
		attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	}
	return attr, err
}

// credentials make a process run as who if this one is root: some servers
// refuse to run as root.
func credentials(who string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{}
	if who == "" || os.Getuid() != 0 {
		return attr, nil
	}
	uid, gid, err := ids(who)
	attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return attr, err
}

func ids(who string) (uid, gid uint32, err error) {
	u, err := user.Lookup(who)
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}

// tree returns pid and all that descend from it. Groups do not tell: each
// process of postgres makes one of its own.
func tree(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if _, parent, ok := stat(path); ok && err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// stat returns the state and the parent of the process, or thread, that a stat
// file of /proc is about; ok is false if it has ended.
func stat(path string) (state string, parent int, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", 0, false
	}
	// pid (name) state ppid ...; the name may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return string(fields[0]), parent, err == nil
}

// stands reports whether no thread of pid, and of all that descend from it, runs:
// the signal that stops them arrives at each in its own time.
func stands(pid int) bool {
	for _, p := range tree(pid) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/stat", p))
		for _, path := range threads {
			if state, _, ok := stat(path); ok && !strings.ContainsAny(state, "TtZX") {
				return false
			}
		}
	}
	return true
}

// signal sends sig to pid and all that descend from it, which it returns. A
// process may have forked in between, so it looks again until nothing is new.
func signal(pid int, sig syscall.Signal) (sent map[int]bool) {
	sent = map[int]bool{}
	for again := true; again; {
		again = false
		for _, p := range tree(pid) {
			if !sent[p] {
				sent[p], again = true, true
				_ = syscall.Kill(p, sig)
			}
		}
	}
	return sent
}

// gone reports whether all of pids have ended: their connections are closed.
func gone(pids map[int]bool) bool {
	for p := range pids {
		if state, _, ok := stat(fmt.Sprintf("/proc/%d/stat", p)); ok && !strings.ContainsAny(state, "ZX") {
			return false
		}
	}
	return true
}

// giveTo makes who the owner of dir if this process is root.
func giveTo(who, dir string) error {
	if who == "" || os.Getuid() != 0 {
		return nil
	}
	uid, gid, err := ids(who)
	if err != nil {
		return err
	}
	return os.Chown(dir, int(uid), int(gid))
}

// shm is where Linux has a file system in memory.
const shm = "/dev/shm"

// memoryFolder returns shm if there is room for the largest server of any test,
// else "": a container has 64 MiB there unless it is told otherwise.
func memoryFolder() string {
	const room = 2 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs(shm, &st); err != nil || int64(st.Bavail)*st.Bsize < room {
		return ""
	}
	return shm
}
