package resilient_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/holdfastkv/holdfast"

// An importRule says what the packages whose path matches may import besides
// the standard library. Paths are relative to the module; an allowed import
// stands for the packages below it only if it ends in "/".
type importRule struct {
	packages string // a pattern of path.Match
	ours     []string
	others   []string
	why      string
}

var importRules = []importRule{
	{"breaker", nil, []string{"github.com/sony/gobreaker/v2"},
		"the breaker knows nothing about stores, so that it can be used without them"},
	{"resilient", []string{"breaker"}, []string{"github.com/cenkalti/backoff/v4"},
		"every user links it: it must stay small, and what it imports cannot import it"},
	{"resilient/kvtest", []string{"resilient", "breaker"}, []string{"github.com/stretchr/testify/", "pgregory.net/rapid"},
		"authors of stores elsewhere run it: it must not bring a database along"},
	{"resilient/kvslog", []string{"resilient", "breaker"}, nil,
		"logging needs the standard library only"},
	{"resilient/kvstatus", []string{"resilient", "breaker"}, nil,
		"the status page needs the standard library only"},
	{"resilient/internal/*", []string{"resilient", "breaker"}, nil,
		"what observers share must not carry one's library into another"},
	{"resilient/kvotel", []string{"resilient", "breaker", "resilient/internal/"}, []string{"go.opentelemetry.io/otel/"},
		"an observer brings its one library, and nobody else brings it"},
	{"resilient/kvprom", []string{"resilient", "breaker", "resilient/internal/"}, []string{"github.com/prometheus/client_golang/"},
		"an observer brings its one library, and nobody else brings it"},
	{"failover", []string{"breaker", "resilient", "failover/internal/"}, nil,
		"failover is made of stores, not of drivers: those who want no file must link none"},
	{"failover/internal/*", nil, nil,
		"what a group and its journals share is words"},
	{"failover/boltjournal", []string{"resilient", "failover", "failover/internal/"}, []string{"go.etcd.io/bbolt"},
		"the journal stands on one library and is chosen by its user"},
	{"failover/boltjournal/cmd/*", []string{"failover/boltjournal"}, nil,
		"an operator's command does what a program could do"},
	{"backends/memkv", backendImports, []string{"github.com/hashicorp/golang-lru/v2", "github.com/hashicorp/golang-lru/v2/simplelru"}, oneDriver},
	{"backends/boltkv", backendImports, []string{"go.etcd.io/bbolt", "go.etcd.io/bbolt/"}, oneDriver},
	{"backends/badgerkv", backendImports, []string{"github.com/dgraph-io/badger/v4", "github.com/dgraph-io/badger/v4/"}, oneDriver},
	{"backends/rediskv", backendImports, []string{"github.com/redis/go-redis/v9", "github.com/redis/go-redis/v9/"}, oneDriver},
	{"backends/consulkv", backendImports, []string{"github.com/hashicorp/consul/api"}, oneDriver},
	{"backends/etcdkv", backendImports, []string{"go.etcd.io/etcd/", "google.golang.org/grpc", "google.golang.org/grpc/", "go.uber.org/zap"},
		oneDriver + "; the etcd client speaks in grpc's types, and takes a logger of zap's to be silent"},
	{"backends/mongokv", backendImports, []string{"go.mongodb.org/mongo-driver/v2/"}, oneDriver},
	{"backends/mysqlkv", backendImports, []string{"github.com/go-sql-driver/mysql"}, oneDriver},
	{"backends/postgreskv", backendImports, []string{"github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/"}, oneDriver},
	{"backends/internal/*", backendImports, nil,
		"what backends share must not carry one backend's driver into another"},
	{"internal/servertest", nil, nil,
		"a kit that starts servers knows no client of theirs: each test brings its own"},
	{"internal/linear", []string{"resilient", "failover"}, []string{"github.com/anishathalye/porcupine"},
		"what checks a history knows the words of those who write it"},
	{"internal/classtest", []string{"breaker", "resilient"}, []string{"github.com/stretchr/testify/"},
		"a kit that tries any classifier knows none"},
	{"internal/compattest", []string{"resilient"}, nil,
		"a kit that asks any store knows none"},
	{"backends", nil, nil,
		"what compares backends with each other is tests"},
	{"internal/outagetest", []string{"breaker", "resilient", "resilient/kvtest", "failover", "backends/memkv"}, []string{"github.com/stretchr/testify/"},
		"what observers are compared on knows none of them"},
	{"docs", nil, nil, "documents hold no code; their test compares them with the source"},
	{"examples/*", []string{"breaker", "resilient", "resilient/", "failover", "failover/", "backends/"}, []string{""},
		"an example shows what a user can import"},
}

var backendImports = []string{"resilient", "backends/internal/"}

const oneDriver = "a backend brings its one driver and never another backend"

// stdBans are packages of the standard library that change the process which
// links them, or speak where the library must be silent.
var stdBans = []struct{ banned, except, why string }{
	{"log", "examples/*", "the library never logs; it tells an Observer"},
	{"log/slog", "resilient/kvslog examples/*", "the library never logs; kvslog turns events into logs"},
	{"expvar", "", "its init puts a handler on http.DefaultServeMux"},
	{"net/http/pprof", "", "its init puts a handler on http.DefaultServeMux"},
	{"flag", "examples/* failover/boltjournal/cmd/*", "flags belong to the program"},
	{"testing", "resilient/kvtest internal/*test", "only test kits may link it"},
}

// goPackage is what go list -json says about one package.
type goPackage struct {
	ImportPath   string
	Standard     bool
	Module       *struct{ Path string }
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p goPackage) rel() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// check returns one line for each import of p that breaks a rule. Tests may
// import what they like, but not across backends.
func check(p goPackage) (faults []string) {
	i := slices.IndexFunc(importRules, func(r importRule) bool { return matches(r.packages, p.rel()) })
	if i < 0 {
		return []string{fmt.Sprintf("%s has no import rule: add one to importRules, with a reason", p.rel())}
	}
	rule := importRules[i]
	for _, imported := range p.Imports {
		for _, ban := range stdBans {
			if imported == ban.banned && !matches(ban.except, p.rel()) {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", p.rel(), imported, ban.why))
			}
		}
		if !rule.allows(imported) {
			faults = append(faults, fmt.Sprintf("%s imports %s: %s", p.rel(), imported, rule.why))
		}
	}
	for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
		if other, ok := strings.CutPrefix(imported, module+"/backends/"); ok && strings.HasPrefix(p.rel(), "backends/") &&
			!strings.HasPrefix(other, "internal/") && imported != p.ImportPath {
			faults = append(faults, fmt.Sprintf("a test of %s imports %s: what compares backends belongs above them", p.rel(), imported))
		}
	}
	return faults
}

func (r importRule) allows(imported string) bool {
	allowed := r.others
	if rest, ok := strings.CutPrefix(imported, module+"/"); ok {
		imported, allowed = rest, r.ours
	} else if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(allowed, func(a string) bool {
		return imported == a || a == "" || strings.HasSuffix(a, "/") && strings.HasPrefix(imported+"/", a)
	})
}

// matches reports whether rel matches one of the patterns, which are
// separated by spaces.
func matches(patterns, rel string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		ok, err := path.Match(p, rel)
		return ok && err == nil
	})
}

func TestPackagesImportOnlyWhatTheirRuleAllows(t *testing.T) {
	ours := 0
	for _, p := range goList(t) {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		ours++
		for _, fault := range check(p) {
			t.Error(fault)
		}
	}
	require.Greater(t, ours, 1, "go list has seen the module")
}

func TestEachImportRuleFindsWhatItForbids(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		fault         string // "" = allowed
	}{
		{"breaker", "time", ""},
		{"breaker", "github.com/sony/gobreaker/v2", ""},
		{"breaker", module + "/resilient", "knows nothing about stores"},
		{"resilient", module + "/breaker", ""},
		{"resilient", module + "/failover", "must stay small"},
		{"resilient", module + "/resilient/kvtest", "must stay small"},
		{"resilient", "github.com/stretchr/testify/require", "must stay small"},
		{"resilient", "log", "never logs"},
		{"resilient", "log/slog", "kvslog turns events into logs"},
		{"resilient/kvslog", "log/slog", ""},
		{"resilient/kvslog", "log", "never logs"},
		{"resilient/kvtest", "testing", ""},
		{"resilient/kvtest", "github.com/stretchr/testify/require", ""},
		{"resilient/kvtest", module + "/backends/memkv", "must not bring a database"},
		{"resilient/kvprom", "github.com/prometheus/client_golang/prometheus", ""},
		{"resilient/kvotel", "github.com/prometheus/client_golang/prometheus", "its one library"},
		{"resilient/kvotel", module + "/resilient/internal/meter", ""},
		{"resilient/kvotel", module + "/resilient/kvprom", "its one library"},
		{"resilient/internal/meter", "go.opentelemetry.io/otel/metric", "into another"},
		{"resilient/kvstatus", "net/http/pprof", "DefaultServeMux"},
		{"failover", module + "/resilient", ""},
		{"failover", module + "/failover/boltjournal", "link none"},
		{"failover", "go.etcd.io/bbolt", "link none"},
		{"failover", "testing", "only test kits"},
		{"failover", module + "/failover/internal/notes", ""},
		{"failover/internal/notes", module + "/failover", "is words"},
		{"failover/boltjournal", "go.etcd.io/bbolt", ""},
		{"failover/boltjournal", module + "/resilient", ""},
		{"failover/boltjournal", module + "/backends/boltkv", "one library"},
		{"failover/boltjournal", "flag", "flags belong"},
		{"failover/boltjournal/cmd/holdfast-journal", "flag", ""},
		{"failover/boltjournal/cmd/holdfast-journal", "go.etcd.io/bbolt", "could do"},
		{"backends/boltkv", "go.etcd.io/bbolt/errors", ""},
		{"backends/boltkv", "github.com/dgraph-io/badger/v4", oneDriver},
		{"backends/boltkv", module + "/backends/memkv", oneDriver},
		{"backends/boltkv", module + "/breaker", oneDriver},
		{"backends/boltkv", module + "/backends/internal/sqlkv", ""},
		{"backends/boltkv", "flag", "flags belong"},
		{"backends/internal/sqlkv", "github.com/jackc/pgx/v5", "one backend's driver"},
		{"backends/mongokv", "go.mongodb.org/mongo-driver/mongo", oneDriver},
		{"backends/newkv", "time", "no import rule"},
		{"examples/failover", "log", ""},
		{"examples/failover", "github.com/prometheus/client_golang/prometheus", ""},
		{"examples/failover", module + "/backends/boltkv", ""},
		{"examples/failover", module + "/examples/quickstart", "what a user can import"},
	} {
		faults := strings.Join(check(goPackage{ImportPath: module + "/" + c.pkg, Imports: []string{c.imported}}), "\n")
		if c.fault == "" {
			require.Empty(t, faults, "%s may import %s", c.pkg, c.imported)
		} else {
			require.Contains(t, faults, c.fault, "%s must not import %s", c.pkg, c.imported)
		}
	}
}

func TestBackendsDoNotMeetEvenInTests(t *testing.T) {
	p := goPackage{ImportPath: module + "/backends/boltkv"}
	p.TestImports = []string{"testing", module + "/resilient/kvtest", module + "/internal/servertest"}
	p.XTestImports = []string{module + "/backends/boltkv"}
	require.Empty(t, check(p))

	p.XTestImports = append(p.XTestImports, module+"/backends/memkv")
	require.Equal(t, []string{"a test of backends/boltkv imports " + module + "/backends/memkv: what compares backends belongs above them"}, check(p))
}

// goList returns every package of the module and all that they import,
// tests' imports excluded.
func goList(t *testing.T) map[string]goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	packages := map[string]goPackage{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages[p.ImportPath] = p
	}
}
