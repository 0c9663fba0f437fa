package servertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

var postgres = program{
	variable: "HOLDFAST_POSTGRES", name: "postgres", debian: "postgresql",
	dirs: []string{"/usr/lib/postgresql/*/bin"},
}

// postgres refuses to run as root.
const postgresUser = "postgres"

// The superuser of a server that Postgres starts.
const (
	pgUser     = "holdfast"
	pgPassword = "SECRET-of-the-test-server"
)

// Postgres starts a PostgreSQL server that keeps what it acknowledges: fsync
// and synchronous_commit are on. It asks for a password (SCRAM); PostgresURL has
// it. Further settings are given as in its configuration file:
// "max_connections=5".
func Postgres(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return startPostgres(tb, settings, func(dir string) error {
		files, err := pgTemplate()
		if err != nil {
			return err
		}
		return unpack(files, filepath.Join(dir, "data"))
	})
}

// PostgresStandby starts a hot standby that follows primary, which Postgres has
// started.
func PostgresStandby(tb testing.TB, primary *Server, settings ...string) *Server {
	tb.Helper()
	return startPostgres(tb, settings, func(dir string) error {
		_, err := runTool(dir, postgresUser, pgTool("pg_basebackup"), "--pgdata", filepath.Join(dir, "data"),
			"--dbname", PostgresURL(primary), "--checkpoint", "fast", "--write-recovery-conf", "--no-sync")
		return err
	})
}

// PostgresTLS starts a server as Postgres does that takes TLS too, and returns it
// with the path of the certificate that it shows, which is its own root. The
// certificate is for 127.0.0.1 and localhost.
func PostgresTLS(tb testing.TB, settings ...string) (s *Server, root string) {
	tb.Helper()
	certs, _ := Certificate(tb)
	for _, path := range []string{certs, filepath.Join(certs, CertificateFile), filepath.Join(certs, KeyFile)} {
		if err := giveTo(postgresUser, path); err != nil {
			tb.Fatalf("servertest: %v", err)
		}
	}
	root = filepath.Join(certs, CertificateFile)
	return Postgres(tb, append([]string{
		"ssl=on", "ssl_cert_file=" + root, "ssl_key_file=" + filepath.Join(certs, KeyFile),
	}, settings...)...), root
}

// PostgresURL returns the URL of the database "postgres" of s, with the
// superuser's name and password and without TLS.
func PostgresURL(s *Server) string {
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", pgUser, pgPassword, s.Addr())
}

func startPostgres(tb testing.TB, settings []string, prepare func(dir string) error) *Server {
	tb.Helper()
	s := start(tb, spec{
		name:    "postgres",
		program: postgres.find(tb),
		who:     postgresUser,
		prepare: prepare,
		args: func(dir string, port int) []string {
			data := filepath.Join(dir, "data")
			outlive(data)
			args := []string{
				"-D", data, "-p", fmt.Sprint(port),
				"-c", "listen_addresses=127.0.0.1",
				"-c", "unix_socket_directories=", // the path of a socket has at most 107 bytes
				"-c", "fsync=on", "-c", "synchronous_commit=on",
				// Shared memory in the data's folder goes with it, even if the server
				// was killed.
				"-c", "dynamic_shared_memory_type=mmap",
			}
			for _, setting := range settings {
				args = append(args, "-c", setting)
			}
			return args
		},
		ready: pgReady,
		stop:  syscall.SIGINT, // "fast": ends sessions, writes a checkpoint
	})
	// "immediate": as after a crash, but what the kernel holds for the server is
	// given back.
	tb.Cleanup(func() { s.end(syscall.SIGQUIT) })
	return s
}

// outlive waits until no process of an earlier life of the server is left: those
// that serve sessions can be a moment later dead than the one that started
// them, and a new server does not start beside them. Each works in the folder
// with the data.
func outlive(data string) {
	for range startWithin / (10 * time.Millisecond) {
		dirs, _ := filepath.Glob("/proc/[0-9]*/cwd")
		if !slices.ContainsFunc(dirs, func(cwd string) bool {
			at, err := os.Readlink(cwd)
			return err == nil && at == data
		}) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pgTool returns the path of one of the programs that come with the server. A
// link to postgres in PATH may stand alone: they are beside what it points to.
func pgTool(name string) string {
	server, err := postgres.look()
	if err != nil {
		return name
	}
	if target, err := filepath.EvalSymlinks(server); err == nil {
		server = target
	}
	return filepath.Join(filepath.Dir(server), name)
}

// pgTemplate returns the files of a new database cluster. initdb takes longer
// than all else that starting a server needs, so it runs once in a process.
var pgTemplate = sync.OnceValues(func() (files fstest.MapFS, err error) {
	dir, err := os.MkdirTemp("", "servertest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	password, data := filepath.Join(dir, "password"), filepath.Join(dir, "data")
	err = errors.Join(
		os.WriteFile(password, []byte(pgPassword), 0o644),
		giveTo(postgresUser, dir),
	)
	if err != nil {
		return nil, err
	}
	_, err = runTool(dir, postgresUser, pgTool("initdb"), "--pgdata", data, "--username", pgUser, "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--wal-segsize", "1")
	if err != nil {
		return nil, err
	}
	return pack(os.DirFS(data))
})

// pack reads all of a folder.
func pack(from fs.FS) (fstest.MapFS, error) {
	files := fstest.MapFS{}
	err := fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file := &fstest.MapFile{Mode: d.Type() | 0o700}
		if !d.IsDir() {
			file.Mode = 0o600
			file.Data, err = fs.ReadFile(from, path)
		}
		files[path] = file
		return err
	})
	return files, err
}

// unpack makes dir with files, all of them postgres's own.
func unpack(files fstest.MapFS, dir string) error {
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return errors.Join(err, giveTo(postgresUser, path))
	})
}

// pgReady begins a session and leaves when the server asks for the password.
// One that refuses the session for another reason than that it starts, or
// stops, is ready too: a test may have brought it there.
func pgReady(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	const version3 = 3 << 16
	hello := "user\x00" + pgUser + "\x00database\x00postgres\x00\x00"
	msg := binary.BigEndian.AppendUint32(nil, uint32(8+len(hello)))
	msg = binary.BigEndian.AppendUint32(msg, version3)
	if _, err := c.Write(append(msg, hello...)); err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(c, 1))
	if err != nil || len(answer) == 0 {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	if answer[0] != 'E' {
		return nil
	}
	refusal, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if strings.Contains(string(refusal), "\x00C57P03\x00") {
		return errors.New("it is not ready for sessions")
	}
	return nil
}
