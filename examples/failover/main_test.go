package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// patient is for runs in which no call may fail: on a machine that is busy with
// other tests, both disks may stall for longer than an attempt may take in the demo.
const patient = "-timeout=5s"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// number returns what the table says of what.
func number(t *testing.T, out, what string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + what + ` +(\d+)\b`).FindStringSubmatch(out)
	require.NotNil(t, found, "no row %q in:\n%s", what, out)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

func TestNothingIsLostAndNoCallFailsWhileTheFirstStoreIsAway(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{patient, "-duration", "3s"}, &stdout, &stderr)
	out := stdout.String()
	require.Zero(t, code, "%s\n%s", out, &stderr)
	for _, what := range []string{"failed calls", "wrong reads", "stores differ", "acknowledged writes lost"} {
		require.Zero(t, number(t, out, what), "%s:\n%s", what, out)
	}
	require.GreaterOrEqual(t, number(t, out, "switches"), 2, out)
	for _, what := range []string{"calls", "writes owed", "handed back", "keys compared"} {
		require.Positive(t, number(t, out, what), "%s:\n%s", what, out)
	}
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEveryModeLosesNothingAndOnlyHandoffHasUncertainReads(t *testing.T) {
	for _, mode := range []string{"handoff", "strict"} {
		t.Run(mode, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{patient, "-duration", "3s", "-mode", mode}, &stdout, &stderr)
			out := stdout.String()
			require.Zero(t, code, "%s\n%s", out, &stderr)
			for _, what := range []string{"failed calls", "wrong reads", "stores differ", "acknowledged writes lost"} {
				require.Zero(t, number(t, out, what), "%s:\n%s", what, out)
			}
			require.Equal(t, mode == "handoff", number(t, out, "uncertain reads") > 0, out)
			require.Positive(t, number(t, out, "handed back"), out)
		})
	}
}

func TestTwoStoresOfOneKindHaveTwoNames(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "kept.db")
	var stdout, stderr bytes.Buffer
	args := []string{patient, "-duration", "2s", "-primary", "bolt:" + path, "-secondary", "bolt:"}
	require.Zero(t, run(t.Context(), args, &stdout, &stderr), "%s\n%s", &stdout, &stderr)
	require.Contains(t, stdout.String(), "bolt-2 serves in place of bolt ")
	kept, err := boltkv.Open(path, boltkv.Config{Namespace: namespace})
	require.NoError(t, err)
	defer func() { require.NoError(t, kept.Close()) }()
	keys, err := kept.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys, "what is left behind")
}

func TestServersAreNamedByURLs(t *testing.T) {
	redis, postgres, mysql := servertest.Redis(t), servertest.Postgres(t), servertest.MySQL(t)
	for _, pair := range [][2]string{
		{"redis://" + redis.Addr(), servertest.PostgresURL(postgres)},
		{"mysql://" + servertest.MySQLDSN(mysql), "redis://" + redis.Addr()},
	} {
		t.Setenv("TMPDIR", t.TempDir())
		var stdout, stderr bytes.Buffer
		args := []string{patient, "-duration", "3s", "-primary", pair[0], "-secondary", pair[1]}
		require.Zero(t, run(t.Context(), args, &stdout, &stderr), "%s\n%s", &stdout, &stderr)
		require.Positive(t, number(t, stdout.String(), "handed back"), &stdout)
	}
}

func TestS8_AServerThatIsDownIsNamedWithoutItsPassword(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, url := range []string{"redis://:SECRET@127.0.0.1:1", "postgres://user:SECRET@127.0.0.1:1/db", "mysql://user:SECRET@tcp(127.0.0.1:1)/db", "postgres://user:SEC%RET@"} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 1, run(t.Context(), []string{"-primary", url}, &stdout, &stderr), "%s\n%s", &stdout, &stderr)
		require.Contains(t, stderr.String(), scheme(url))
		require.NotContains(t, stderr.String(), "SEC")
	}
}

func TestInterruptEndsTheScriptAndNotTheCheck(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(ctx, []string{patient, "-duration", "1h"}, &stdout, &stderr), "%s\n%s", &stdout, &stderr)
	require.Contains(t, stdout.String(), "interrupted")
	require.Zero(t, number(t, stdout.String(), "acknowledged writes lost"))
}

// naive is what many write by hand: the first store, and if that fails the
// second. It hands nothing back.
type naive struct{ first, second resilient.KVWithHealth }

// try calls do with the first store and then, if that failed, with the second.
func (n naive) try(ctx context.Context, do func(context.Context, resilient.KVWithHealth) error) error {
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	err := do(short, n.first)
	if err == nil || errors.Is(err, resilient.ErrNotFound) {
		return err
	}
	return do(ctx, n.second)
}

func (n naive) GetRaw(ctx context.Context, key string) (value []byte, err error) {
	err = n.try(ctx, func(ctx context.Context, kv resilient.KVWithHealth) (err error) {
		value, err = kv.GetRaw(ctx, key)
		return err
	})
	return value, err
}

func (n naive) SetRaw(ctx context.Context, key string, value []byte) error {
	return n.try(ctx, func(ctx context.Context, kv resilient.KVWithHealth) error { return kv.SetRaw(ctx, key, value) })
}

func (n naive) Delete(ctx context.Context, key string) error {
	return n.try(ctx, func(ctx context.Context, kv resilient.KVWithHealth) error { return kv.Delete(ctx, key) })
}

func (n naive) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = n.try(ctx, func(ctx context.Context, kv resilient.KVWithHealth) (err error) {
		keys, err = kv.List(ctx, prefix)
		return err
	})
	return keys, err
}

func (n naive) Health(context.Context) error { return nil }
func (n naive) Close() error                 { return errors.Join(n.first.Close(), n.second.Close()) }

func TestFailoverWithoutHandBackIsSeenToLoseWrites(t *testing.T) {
	var out bytes.Buffer
	o, err := parse([]string{"-duration", "1500ms"}, &out)
	require.NoError(t, err)
	stores, err := open(o, t.TempDir())
	require.NoError(t, err)
	// The Store is there for its batches only: it never opens.
	kv, err := resilient.Wrap(naive{stores[0].member, stores[1].member}, resilient.Config{
		Breaker: breaker.Config{Failures: -1}, Probe: resilient.Probe{Interval: -1},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()

	r := play(t.Context(), o, kv, stores, newTimeline(&out))
	r.print(&out)
	require.False(t, r.good())
	require.Positive(t, number(t, out.String(), "acknowledged writes lost"), &out)
	require.Positive(t, number(t, out.String(), "wrong reads"), &out)
	require.Positive(t, number(t, out.String(), "stores differ"), &out)
	require.Regexp(t, `(?m)^acknowledged writes lost: \d+\n(   .*\n){5}   and \d+ more$`, out.String())
}

// page is what a writer is told of the live page: it looks at it once.
type page struct {
	bytes.Buffer
	t    *testing.T
	seen chan string
}

func (p *page) Write(b []byte) (int, error) {
	if found := regexp.MustCompile(`http://\S+/`).FindString(string(b)); found != "" {
		go func() {
			req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, found, http.NoBody)
			if err != nil {
				p.seen <- err.Error()
				return
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for body := ""; ; {
				w, err := client.Do(req)
				if err != nil {
					p.seen <- body
					return
				}
				text, _ := io.ReadAll(w.Body)
				_ = w.Body.Close()
				if body = string(text); strings.Contains(body, "badger serves in place of bolt") {
					p.seen <- body
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	return p.Buffer.Write(b)
}

func TestTheLivePageIsThereWhileTheProgramRuns(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var stderr bytes.Buffer
	out := &page{t: t, seen: make(chan string, 1)}
	require.Zero(t, run(t.Context(), []string{patient, "-duration", "3s", "-http", "127.0.0.1:0"}, out, &stderr), "%s\n%s", out, &stderr)
	require.Contains(t, <-out.seen, "badger serves in place of bolt")
	require.Contains(t, out.String(), "the live page: http://127.0.0.1:")

	var plain bytes.Buffer
	require.Zero(t, run(t.Context(), []string{patient, "-duration", "1s"}, &plain, &stderr), "%s\n%s", &plain, &stderr)
	require.NotContains(t, plain.String(), "http://")
	require.Equal(t, 1, run(t.Context(), []string{"-http", "256.0.0.1:x"}, &plain, &stderr))
}

func TestFlagsThatCannotBeUsedAreNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-duration", "0"}, "-duration must be more than 0, not 0s"},
		{[]string{"-duration", "-1s"}, "-duration must be more than 0, not -1s"},
		{[]string{"-duration", "soon"}, "flag -duration"},
		{[]string{"-timeout", "0"}, "-timeout must be more than 0, not 0s"},
		{[]string{"-clients", "0"}, "-clients must be more than 0, not 0"},
		{[]string{"-keys", "-3"}, "-keys must be more than 0, not -3"},
		{[]string{"-keys", "7"}, "-keys must be at least as many as -clients, 8"},
		{[]string{"-seed", "0"}, "-seed must be more than 0, not 0"},
		{[]string{"-mode", "best"}, `-mode must be handoff, mirror or strict, not "best"`},
		{[]string{"-keys", "0", "-seed", "-1"}, "-seed must be more than 0, not -1"},
		{[]string{"-primary", "oracle://SECRET"}, "-primary must be a URL that begins with one of badger: bolt: mysql: postgres:"},
		{[]string{"-secondary", ""}, "-secondary must be a URL"},
		{[]string{"soon"}, `not "soon"`},
		{[]string{"-fast"}, "-fast"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), c.args, &stdout, &stderr), c.args)
		require.Contains(t, stderr.String(), c.says)
		require.NotContains(t, stderr.String(), "SECRET")
		require.Empty(t, stdout.String(), c.args)
	}
	require.Zero(t, run(t.Context(), []string{"-h"}, &bytes.Buffer{}, &bytes.Buffer{}))
}
