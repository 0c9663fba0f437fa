package backends_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfastkv/holdfast/backends/consulkv"
	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/backends/mongokv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// guarded is a server that asks for a password, and how its store is opened
// with one.
type guarded struct {
	kind     string
	server   *servertest.Server
	password string
	open     func(password string) (resilient.KVWithHealth, error)
	// broken is something that is no address, with the password in it.
	broken func(password string) error
}

// wrongPassword is one that no server takes.
const wrongPassword = "canary%wrong-7c2f"

// second returns the error of two results.
func second[T any](_ T, err error) error { return err }

// guardedServers starts one of each kind that asks for a password. FerretDB
// knows no users, and refuses every password.
func guardedServers(t *testing.T) []guarded {
	const password = "canary-good-7c2f"
	redis, etcd := servertest.Redis(t, "--requirepass", password), servertest.Etcd(t)
	postgres, mysql := servertest.Postgres(t), servertest.MySQL(t)
	consul, mongo := servertest.ConsulWithACL(t), servertest.FerretDB(t)

	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.Addr()}})
	require.NoError(t, err)
	for _, err := range []error{
		second(admin.UserAdd(t.Context(), "root", password)), second(admin.UserGrantRole(t.Context(), "root", "root")),
		second(admin.AuthEnable(t.Context())), admin.Close(),
	} {
		require.NoError(t, err)
	}
	pg, err := url.Parse(servertest.PostgresURL(postgres))
	require.NoError(t, err)
	pgPassword, _ := pg.User.Password()
	return []guarded{
		{"redis", redis, password, func(p string) (resilient.KVWithHealth, error) {
			return rediskv.Open("redis://:"+url.QueryEscape(p)+"@"+redis.Addr(), rediskv.Config{})
		}, func(p string) error { return second(rediskv.Open("redis://:"+p+"@host:port/x", rediskv.Config{})) }},
		{"postgres", postgres, pgPassword, func(p string) (resilient.KVWithHealth, error) {
			u := *pg
			u.User = url.UserPassword(pg.User.Username(), p)
			return postgreskv.Open(u.String(), postgreskv.Config{})
		}, func(p string) error {
			return second(postgreskv.Open("postgres://user:"+p+"@host:port/x", postgreskv.Config{}))
		}},
		{"mysql", mysql, servertest.MySQLPassword, func(p string) (resilient.KVWithHealth, error) {
			return mysqlkv.Open("holdfast:"+p+"@tcp("+mysql.Addr()+")/holdfast", mysqlkv.Config{})
		}, func(p string) error { return second(mysqlkv.Open("user:"+p+"@tcp(host/x", mysqlkv.Config{})) }},
		{"etcd", etcd, password, func(p string) (resilient.KVWithHealth, error) {
			return etcdkv.Open([]string{etcd.Addr()}, etcdkv.Config{Username: "root", Password: p})
		}, func(p string) error {
			return second(etcdkv.Open([]string{"http://user:" + p + "@host:port"}, etcdkv.Config{Password: p}))
		}},
		{"consul", consul, servertest.ConsulToken, func(p string) (resilient.KVWithHealth, error) {
			return consulkv.Open(consul.Addr(), consulkv.Config{Token: p})
		}, func(p string) error {
			return second(consulkv.Open("http://user:"+p+"@host:port", consulkv.Config{Token: p + "\n"}))
		}},
		{"mongo", mongo, "", func(p string) (resilient.KVWithHealth, error) {
			return mongokv.Open("mongodb://user:"+url.QueryEscape(p)+"@"+mongo.Addr()+"/", mongokv.Config{})
		}, func(p string) error { return second(mongokv.Open("mongodb://user:"+p+"@host:port/", mongokv.Config{})) }},
	}
}

// printed is all that a process shows, and what must not be in it.
type printed struct {
	t       *testing.T
	secrets []string
	mu      sync.Mutex // guards text
	text    bytes.Buffer
	errs    int
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// value prints v in every way that there is.
func (p *printed) value(v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(p, verb+"\n", v)
	}
	if text, err := json.Marshal(v); err == nil {
		_, _ = p.Write(text)
	}
	slog.New(slog.NewJSONHandler(p, nil)).Info("value", "v", v)
	slog.New(slog.NewTextHandler(p, nil)).Info("value", "v", v)
}

// err prints an error, and each that it wraps.
func (p *printed) err(err error) {
	if err == nil {
		return
	}
	p.errs++
	p.value(err)
	p.chain(err)
}

func (p *printed) chain(err error) {
	fmt.Fprintln(p, err)
	switch e := err.(type) { //nolint:errorlint // each error of the chain by itself
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			p.chain(wrapped)
		}
	case interface{ Unwrap() error }:
		if wrapped := e.Unwrap(); wrapped != nil {
			p.chain(wrapped)
		}
	}
}

// check fails if a secret was printed since the last check.
func (p *printed) check(when string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.text.String()
	p.text.Reset()
	require.NotEmpty(p.t, text, when)
	for _, secret := range p.secrets {
		for _, form := range forms(secret) {
			if at := strings.Index(text, form); at >= 0 {
				require.Fail(p.t, "a password is shown", "when %s: %q", when, text[max(0, at-200):min(len(text), at+len(form)+50)])
			}
		}
	}
}

// calls makes one call of each kind.
func (p *printed) calls(kv batchKV) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	p.err(kv.SetRaw(ctx, "key", []byte("value")))
	p.err(second(kv.GetRaw(ctx, "key")))
	p.err(second(kv.GetRaw(ctx, "missing")))
	p.err(second(kv.List(ctx, "")))
	p.err(second(kv.BatchGetRaw(ctx, []string{"key", "missing"})))
	p.err(kv.BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": nil}))
	p.err(kv.BatchDelete(ctx, []string{"a", "b"}))
	p.err(kv.Delete(ctx, "key"))
	if health, ok := kv.(resilient.KVWithHealth); ok {
		p.err(health.Health(ctx))
	}
}

// seen are all that are told what happens.
type seen struct {
	resilient.Observer
	recorder *kvtest.Recorder
	registry *prometheus.Registry
	reader   *sdk.ManualReader
	prom     *kvprom.Observer
	otel     *kvotel.Observer
	pages    []*kvstatus.Page
}

func newSeen(p *printed) *seen {
	s := &seen{
		recorder: &kvtest.Recorder{}, registry: prometheus.NewRegistry(), reader: sdk.NewManualReader(),
		pages: []*kvstatus.Page{kvstatus.New(kvstatus.Config{}), kvstatus.New(kvstatus.Config{WithErrors: true})},
	}
	var err error
	s.prom, err = kvprom.New(s.registry)
	require.NoError(p.t, err)
	s.otel, err = kvotel.New(sdk.NewMeterProvider(sdk.WithReader(s.reader)))
	require.NoError(p.t, err)
	all := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	s.Observer = resilient.Tee(s.recorder, s.prom, s.otel, s.pages[0], s.pages[1],
		kvslog.New(slog.New(slog.NewTextHandler(p, all))), kvslog.New(slog.New(slog.NewJSONHandler(p, all))))
	return s
}

func (s *seen) watch(r resilient.Reporter) {
	s.prom.Watch(r)
	s.otel.Watch(r)
	for _, page := range s.pages {
		page.Watch(r)
	}
}

// show prints the events, both scrapes and every page.
func (s *seen) show(p *printed) {
	for _, e := range s.recorder.Events() {
		fmt.Fprintf(p, "%+v\n%#v\n", e, e)
	}
	s.recorder.Reset()
	families, err := s.registry.Gather()
	require.NoError(p.t, err)
	for _, f := range families {
		fmt.Fprintln(p, f)
	}
	var rm metricdata.ResourceMetrics
	require.NoError(p.t, s.reader.Collect(p.t.Context(), &rm))
	p.value(rm)
	for _, page := range s.pages {
		for _, path := range []string{"/", "/health", "/readyz", "/readyz?readonly", "/livez", "/status.json", "/events", "/none"} {
			func() {
				ctx, cancel := context.WithTimeout(p.t.Context(), 100*time.Millisecond) // the stream does not end by itself
				defer cancel()
				w := httptest.NewRecorder()
				page.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
				fmt.Fprintln(p, w.Header(), w.Body)
			}()
		}
	}
}

// stderr lets what this process writes to its standard error, past all that
// could be told to be silent, be printed.
func (p *printed) stderr() (restore func()) {
	kept, err := syscall.Dup(syscall.Stderr)
	require.NoError(p.t, err)
	r, w, err := os.Pipe()
	require.NoError(p.t, err)
	require.NoError(p.t, syscall.Dup3(int(w.Fd()), syscall.Stderr, 0))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(p, r)
	}()
	return func() {
		_ = syscall.Dup3(kept, syscall.Stderr, 0)
		_ = errors.Join(syscall.Close(kept), w.Close())
		<-done
		_ = r.Close()
	}
}

// TestS8_NoPasswordIsInAnythingThatAnOutageShows: six servers that ask for a
// password are members of one group with a journal and a cache. They serve,
// die together, come back, and meet clients with the wrong password. Whatever
// any of it returns, logs, counts, serves or keeps on the disk has no password.
func TestS8_NoPasswordIsInAnythingThatAnOutageShows(t *testing.T) {
	servers := guardedServers(t)
	p := &printed{t: t, secrets: []string{wrongPassword}}
	for _, s := range servers {
		if s.password != "" {
			p.secrets = append(p.secrets, s.password)
		}
	}
	defer p.stderr()()
	s := newSeen(p)

	cfg := hurried(s)
	dir := t.TempDir()
	var err error
	cfg.Journal, err = boltjournal.Open(filepath.Join(dir, "journal.db"), boltjournal.Config{})
	require.NoError(t, err)
	members := make([]resilient.KVWithHealth, 0, len(servers))
	for _, server := range servers {
		if server.password == "" {
			continue
		}
		kv, err := server.open(server.password)
		require.NoError(t, err)
		p.value(kv)
		require.NoError(t, kv.SetRaw(t.Context(), "key", nil), "%s takes its password", server.kind)
		members = append(members, kv)
	}
	group, err := failover.New(cfg, members...)
	require.NoError(t, err)
	cache, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	cached, err := failover.WithCache(group, cache, failover.CacheConfig{Observer: s})
	require.NoError(t, err)
	s.watch(group)

	moments := func(when string, n int) {
		for range n {
			p.calls(cached)
			time.Sleep(50 * time.Millisecond)
		}
		p.value(group.Status())
		p.value(group.Owed())
		s.show(p)
		p.check(when)
	}
	moments("all is well", 2)
	for _, server := range servers {
		server.server.Kill()
	}
	moments("all are dead", 8)
	for _, server := range servers {
		server.server.Start()
	}
	moments("all are back", 8)
	require.Positive(t, p.errs, "there was an outage")

	for _, server := range servers {
		p.err(server.broken(wrongPassword))
		kv, err := server.open(wrongPassword)
		require.NoError(t, err)
		p.value(kv)
		store, err := resilient.Wrap(kv, resilient.Config{Name: "stranger-" + server.kind, Observer: s})
		require.NoError(t, err)
		s.watch(store)
		before := p.errs
		for range 2 {
			p.calls(store)
		}
		require.Greater(t, p.errs, before, "%s does not take another password", server.kind)
		p.value(store.Status())
		s.show(p)
		require.NoError(t, store.Close())
		p.calls(store)
		p.value(store)
		p.check(server.kind + " is given a wrong password")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, _ = p.Write(text)
	}
	p.err(cached.Close())
	p.calls(cached)
	p.value(cached)
	p.value(group)
	s.show(p)
	p.check("the group is closed")
}

// TestS8_ThePasswordsOfTheCanaryTestAreFound: the search that proves the above
// finds what it looks for.
func TestS8_ThePasswordsOfTheCanaryTestAreFound(t *testing.T) {
	const secret = "canary%wrong-7c2f"
	for name, shown := range map[string]any{
		"an error": fmt.Errorf("dial: %w", errors.New(secret)), "a field": struct{ Password string }{secret},
		"bytes": []byte(secret), "a URL": &url.URL{Scheme: "redis", User: url.UserPassword("u", secret), Host: "h"},
		"a field of what an error wraps": &resilient.Error{Err: &telling{Password: secret}},
	} {
		p := &printed{t: t}
		p.value(shown)
		found := false
		for _, form := range forms(secret) {
			found = found || strings.Contains(p.text.String(), form)
		}
		require.True(t, found, name)
	}
}

// telling is an error that says nothing and holds a password.
type telling struct{ Password string }

func (*telling) Error() string { return "refused" }
