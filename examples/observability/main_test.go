package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what a program has printed so far.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// running is the program on a free port.
type running struct {
	t         *testing.T
	out, logs output
	url       string
	client    *http.Client
	done      chan error
	stop      context.CancelFunc
}

func start(t *testing.T) *running {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, done: make(chan error, 1), stop: cancel, client: &http.Client{Transport: &http.Transport{}}}
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(r.client.CloseIdleConnections)
	go func() { r.done <- run(ctx, []string{"-http", "127.0.0.1:0", "-clients", "2"}, &r.out, &r.logs) }()
	address := regexp.MustCompile(`(?m)^(http://127\.0\.0\.1:\d+/) .*\n(?s:.*)/metrics`)
	require.Eventually(t, func() bool { return address.MatchString(r.out.String()) }, time.Minute, 10*time.Millisecond)
	r.url = address.FindStringSubmatch(r.out.String())[1]
	return r
}

func (r *running) end() {
	r.t.Helper()
	r.client.CloseIdleConnections()
	r.stop()
	require.NoError(r.t, <-r.done, &r.logs)
}

func (r *running) send(req *http.Request) (int, string) {
	r.t.Helper()
	w, err := r.client.Do(req)
	require.NoError(r.t, err)
	body, err := io.ReadAll(w.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, w.Body.Close())
	return w.StatusCode, string(body)
}

func (r *running) get(path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	require.NoError(r.t, err)
	code, body := r.send(req)
	require.Equal(r.t, http.StatusOK, code, "%s\n%s", path, body)
	return body
}

// press presses a button of a page from origin.
func (r *running) press(do, host, origin string) int {
	r.t.Helper()
	form := strings.NewReader(url.Values{"do": {do}}.Encode())
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"fault", form)
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	if host != "" {
		req.Host = host
	}
	code, _ := r.send(req)
	return code
}

func TestAButtonMovesThePageTheMetricsAndTheLogs(t *testing.T) {
	r := start(t)
	require.Contains(t, r.get(""), `value="hang"`)
	require.Equal(t, "ok\n", r.get("livez"))
	r.until("status/", "bolt serves.")

	require.Equal(t, http.StatusSeeOther, r.press("down", "", ""))
	r.until("status/", "badger serves in place of bolt.")
	r.until("readyz", "ready, degraded")
	r.until("metrics", `holdfast_backend_active{holdfast_backend="badger",holdfast_group="orders"} 1`)
	r.until("metrics", `holdfast_breaker_status{holdfast_backend="bolt",holdfast_breaker_state="open",holdfast_group="orders"} 1`)
	require.Contains(t, r.logs.String(), "group serves from another member")

	require.Equal(t, http.StatusSeeOther, r.press("up", "", ""))
	r.until("status/", "<strong>bolt serves.</strong>")
	r.end()
	require.Contains(t, r.out.String(), "calls ok, answered by badger", "what OpenTelemetry has counted")
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func (r *running) until(path, text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.get(path), text) }, time.Minute, 20*time.Millisecond, "%s: %s", path, text)
}

func TestOnlyThisMachinesOwnPagePressesButtons(t *testing.T) {
	r := start(t)
	defer r.end()
	require.Equal(t, http.StatusForbidden, r.press("down", "", "https://evil.example"))
	require.Equal(t, http.StatusForbidden, r.press("down", "evil.example:80", ""))
	require.Equal(t, http.StatusBadRequest, r.press("explode", "", ""))
	require.Contains(t, r.get("status/"), "bolt serves.")
}

func TestItEndsByItself(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out, logs output
	require.NoError(t, run(t.Context(), []string{"-http", "127.0.0.1:0", "-duration", "3s"}, &out, &logs), &logs)
	require.Contains(t, out.String(), "calls ok, answered by bolt")
	require.Contains(t, logs.String(), "breaker opened")
}

func TestFlagsThatCannotBeUsedAreRefused(t *testing.T) {
	for _, args := range [][]string{{"now"}, {"-duration", "-1s"}, {"-clients", "0"}, {"-fast"}} {
		require.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}
