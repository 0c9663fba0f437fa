package servertest

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

var (
	mariaDB = program{variable: "HOLDFAST_MARIADBD", name: "mariadbd", dirs: []string{"/usr/sbin"}, debian: "mariadb-server"}
	// mariaDBInstall makes the data folder that mariaDB starts with.
	mariaDBInstall = program{variable: "HOLDFAST_MARIADB_INSTALL_DB", name: "mariadb-install-db", debian: "mariadb-server"}
)

// mysqlUser is whom a server is run as if this process is root.
const mysqlUser = "mysql"

// MySQLPassword is the password of both users of a server that MySQL has
// started. It is one that is found when it is printed.
const MySQLPassword = "canary-password-of-mysql"

// mysqlInit is run at every start, before the server listens. The first user
// may do everything in the one database, the second everything.
const mysqlInit = `CREATE DATABASE IF NOT EXISTS holdfast;
CREATE USER IF NOT EXISTS 'holdfast'@'%' IDENTIFIED BY '` + MySQLPassword + `';
GRANT ALL ON holdfast.* TO 'holdfast'@'%';
CREATE USER IF NOT EXISTS 'admin'@'%' IDENTIFIED BY '` + MySQLPassword + `';
GRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;
`

// MySQL starts a mariadbd that keeps what it acknowledges: the log is synced at
// every commit. Further settings are given as on its command line:
// "--max-connections=5". Those in the file my.cnf in its Dir, which is empty,
// count from the next Start.
func MySQL(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, mysqlSpec(tb, nil, settings))
}

// MySQLTLS starts one that takes no connection without TLS, with a certificate
// that pool trusts. It asks its clients for none.
func MySQLTLS(tb testing.TB, settings ...string) (s *Server, pool *x509.CertPool) {
	tb.Helper()
	dir, pool := Certificate(tb)
	files, err := readFiles(dir)
	if err != nil {
		tb.Fatalf("servertest: %v", err)
	}
	return start(tb, mysqlSpec(tb, files, append([]string{
		// Relative to the data folder, where the server looks.
		"--ssl-cert=../" + CertificateFile, "--ssl-key=../" + KeyFile, "--require-secure-transport=ON",
	}, settings...))), pool
}

// mysqlSpec returns a server with more files in its folder.
func mysqlSpec(tb testing.TB, more []file, settings []string) spec {
	tb.Helper()
	install := mariaDBInstall.find(tb)
	return spec{
		name:    "mariadbd",
		program: mariaDB.find(tb),
		who:     mysqlUser,
		prepare: func(dir string) error {
			files, err := mysqlTemplate(install)
			if err != nil {
				return err
			}
			files = append(files, file{name: "init.sql", data: []byte(mysqlInit)}, file{name: "my.cnf"})
			return writeFiles(dir, mysqlUser, append(files, more...))
		},
		args: func(dir string, port int) []string {
			return append([]string{
				"--defaults-file=" + filepath.Join(dir, "my.cnf"), "--init-file=" + filepath.Join(dir, "init.sql"),
				"--datadir=" + filepath.Join(dir, "data"), "--tmpdir=" + dir,
				"--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"),
				"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port), "--skip-name-resolve",
				"--innodb-flush-log-at-trx-commit=1",
				// Small, so that it starts fast, and large enough that tests with
				// large values do not fill the log: all writes would then wait
				// until what they changed has been written to the tables' files.
				"--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M",
				"--key-buffer-size=1M", "--aria-pagecache-buffer-size=8M",
			}, settings...)
		},
		ready: mysqlReady,
		stop:  syscall.SIGTERM,
	}
}

// MySQLDSN returns the data source name, in the Go driver's form, of a user who
// may do everything in the database that it names, holdfast, and nothing else.
func MySQLDSN(s *Server) string {
	return fmt.Sprintf("holdfast:%s@tcp(%s)/holdfast", MySQLPassword, s.Addr())
}

// MySQLAdminDSN returns the data source name of a user who may do everything.
func MySQLAdminDSN(s *Server) string {
	return fmt.Sprintf("admin:%s@tcp(%s)/holdfast", MySQLPassword, s.Addr())
}

// mysqlReady waits for the greeting that the server sends first.
func mysqlReady(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	head := make([]byte, 5) // length, sequence, version of the protocol
	if _, err := io.ReadFull(bufio.NewReader(c), head); err != nil {
		return err
	}
	if head[4] != 10 {
		return fmt.Errorf("it greets with %d: %w", head[4], os.ErrInvalid)
	}
	return nil
}

// file is one of a folder: its name relative to that, and what it holds. A
// folder's name ends in a separator.
type file struct {
	name string
	data []byte
}

// mysqlTemplate returns the files of a new data folder. It makes them once, for
// that takes longer than all else that a server's start does, and keeps them in
// memory (21 MB), where nobody has to remove them. The least log that there can be
// keeps it small; a server makes it larger when it starts.
func mysqlTemplate(install string) ([]file, error) {
	mysqlMade.Lock()
	defer mysqlMade.Unlock()
	if mysqlMade.files != nil {
		return mysqlMade.files[:len(mysqlMade.files):len(mysqlMade.files)], nil
	}
	dir, err := os.MkdirTemp("", "servertest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := giveTo(mysqlUser, dir); err != nil {
		return nil, err
	}
	if _, err := runTool(dir, mysqlUser, install, "--no-defaults", "--datadir="+filepath.Join(dir, "data"),
		"--skip-test-db", "--auth-root-authentication-method=normal",
		"--innodb-log-file-size=4M"); err != nil {
		return nil, err
	}
	files, err := readFiles(dir)
	if err == nil {
		mysqlMade.files = files
	}
	return files, err
}

// mysqlMade is what mysqlTemplate has made, for all tests of the process.
var mysqlMade struct {
	sync.Mutex
	files []file
}

// readFiles returns all files and folders below dir.
func readFiles(dir string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			files = append(files, file{name: name + string(filepath.Separator)})
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		files = append(files, file{name, data})
		return err
	})
	return files, err
}

// writeFiles writes files below dir and gives them to who.
func writeFiles(dir, who string, files []file) error {
	for _, f := range files {
		path, err := filepath.Join(dir, f.name), error(nil)
		if f.name[len(f.name)-1] == filepath.Separator {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, f.data, 0o600)
		}
		if err := errors.Join(err, giveTo(who, path)); err != nil {
			return err
		}
	}
	return nil
}
