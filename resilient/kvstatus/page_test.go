package kvstatus

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// tags are what a person does not see of a page.
var tags = regexp.MustCompile(`<[^>]*>\s*`)

// paths are all that a Page serves but /events.
var paths = []string{"/", "/livez", "/readyz", "/health", "/status.json", "/page.css", "/page.js", "/icon.svg"}

func TestOnlyGETAndHEADAreAnswered(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())))
	for _, path := range append(paths, "/events", "/none") {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"} {
			w := ask(t, p, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	}
	for _, path := range append(paths, "/events") {
		require.Equal(t, http.StatusOK, ask(t, p, http.MethodHead, path).Code, path)
	}
	require.Equal(t, http.StatusNotFound, get(t, p, "/none").Code)
	require.Equal(t, http.StatusNotFound, get(t, p, "//").Code)
}

func TestNothingIsStoredOrGuessedOrLoadedFromElsewhere(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())))
	for _, path := range append(paths, "/none") {
		h := get(t, p, path).Result().Header
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.NotEmpty(t, h.Get("Content-Type"), path)
		policy := h.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.Contains(t, policy, "frame-ancestors 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
	}
	for _, path := range []string{"/", "/page.css", "/page.js"} {
		body := get(t, p, path).Body.String()
		for _, elsewhere := range []string{"http:", "https:", "//cdn", "@import", "url(", " style=", " onclick="} {
			require.NotContains(t, body, elsewhere, path)
		}
	}
	page := get(t, p, "/").Body.String()
	require.NotContains(t, page, "<script>", "no inline script")
	require.NotContains(t, page, "<style")
}

func TestEveryNameIsEscaped(t *testing.T) {
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	p := New(Config{Title: evil, WithErrors: true})
	now := fill(p)
	st := groupStatus(now)
	st.Name, st.Active, st.Reason = evil, evil, evil
	st.Members[0].Name, st.Members[0].Kind, st.Members[0].Reason, st.Members[0].State = evil, evil, evil, evil
	st.Members[1].Name = evil
	p.Watch(says(st), says(resilient.Status{Name: evil, Kind: evil, State: evil, Reason: evil}))
	for _, kind := range []resilient.Kind{
		resilient.KindProbe, resilient.KindChange, resilient.KindSwitch, resilient.KindOwed, resilient.KindHandedBack, resilient.KindStale, resilient.KindLost,
	} {
		p.Observe(t.Context(), resilient.Event{
			Kind: kind, Time: now, Group: evil, Store: evil, From: evil, To: evil, Reason: evil, Err: evilError(evil), Slow: true,
		})
	}
	page := get(t, p, "/").Body.String()
	require.NotContains(t, page, "<script>")
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, `"'>`)
	require.Contains(t, page, "&lt;script&gt;")
	for _, path := range []string{"/health", "/status.json", "/readyz"} {
		require.NotContains(t, get(t, p, path).Body.String(), "<script>", path)
	}
	require.NotContains(t, string(p.frame().message), "<script>", "HTML is escaped in JSON too")
	require.NotContains(t, get(t, p, "/icon.svg?<script>").Body.String(), "<script>")
}

type evilError string

func (e evilError) Error() string { return string(e) }

func TestThePageCanBeMountedUnderAnyPrefix(t *testing.T) {
	p := New(Config{})
	mux := http.NewServeMux()
	mux.Handle("/ops/status", http.StripPrefix("/ops/status", p))
	mux.Handle("/ops/status/", http.StripPrefix("/ops/status", p))
	server := httptest.NewServer(mux)
	defer server.Close()
	fetch := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		require.NoError(t, err)
		w, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, w.Body.Close())
		return w
	}
	w := fetch("/ops/status")
	require.Equal(t, http.StatusOK, w.StatusCode)
	require.Equal(t, "/ops/status/", w.Request.URL.Path, "links are relative to the folder")
	page := get(t, p, "/").Body.String()
	for _, path := range paths[1:] {
		require.Equal(t, path == "/readyz" || path == "/health", fetch("/ops/status"+path).StatusCode != http.StatusOK, path)
		require.NotContains(t, page, `="`+path, "a link from the root")
	}
}

func TestRegression_ThePageIsNotFoundBehindAPrefixWithASlashAtItsEnd(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())))
	mux := http.NewServeMux()
	mux.Handle("/status/", http.StripPrefix("/status/", p))
	mux.Handle("/", http.StripPrefix("/", p))
	for _, prefix := range []string{"/status", ""} {
		for _, path := range paths {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, prefix+path, http.NoBody))
			require.Equal(t, http.StatusOK, w.Code, prefix+path)
			require.Equal(t, get(t, p, path).Header().Get("Content-Type"), w.Header().Get("Content-Type"), prefix+path)
		}
	}
}

func TestTheRedirectLeadsNowhereElse(t *testing.T) {
	p := New(Config{})
	for uri, want := range map[string]string{
		"/status": "./status/", "/a/b": "./b/", "//evil.example": "./evil.example/", "/x:y": "./x:y/", "/a%2Fb": "./b/", "/%5Cevil": "./%5Cevil/",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RequestURI, r.URL.Path = uri, ""
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		require.Equal(t, want, w.Header().Get("Location"), uri)
	}
}

func TestThePageSaysWhoServesSinceWhenWhyAndWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the page is asked when its history ends, however slow the machine is
		p := New(Config{Title: "Orders"})
		now := fill(p)
		p.Watch(says(groupStatus(now)))
		page := strings.ReplaceAll(get(t, p, "/").Body.String(), gap, " ")
		for _, said := range []string{
			"<strong>badger serves in place of bolt.</strong>", "<dt>Serves</dt> <dd><span>badger</span>", "4 min 10 s",
			"3 failed health checks in a row", "<span>1,284 writes</span> <small>312 KiB, the oldest for 4 min 9 s; 1,284 to bolt</small>",
			"timed out after 2.0 s", "good in 410 µs", "<title>DEGRADED · badger serves in place of bolt. · Orders</title>",
			`<rect class="open"`, `<rect class="serving"`, `<polygon class="served"`, `<polygon class="failed"`, `<polyline class="p99"`,
			"breaker of bolt: open, was closed: 3 failed health checks in a row",
		} {
			require.True(t, strings.Contains(page, said), "%s\nis not in\n%s", said, tags.ReplaceAllString(page, "\n"))
		}
		require.NotContains(t, page, "dial", "an error's text")
	})
}

func TestVerdicts(t *testing.T) {
	now := time.Now()
	group := func(change func(st *resilient.Status)) resilient.Status {
		st := groupStatus(now)
		change(&st)
		return st
	}
	for want, st := range map[string]resilient.Status{
		"badger serves in place of bolt.":                      groupStatus(now),
		"badger serves in place of bolt. No writes are taken.": group(func(st *resilient.Status) { st.ReadOnly = true }),
		"Nobody serves.": group(func(st *resilient.Status) { st.Condition = resilient.Down }),
		"bolt serves, without badger.": group(func(st *resilient.Status) {
			st.Active, st.Members[0].Condition, st.Members[1].Drained = "bolt", resilient.Up, true
		}),
		"bolt serves, and owes writes to others.": group(func(st *resilient.Status) {
			st.Active, st.Members[0].Condition = "bolt", resilient.Up
		}),
		"bolt serves.": group(func(st *resilient.Status) {
			st.Active, st.Condition = "bolt", resilient.Up
		}),
		"redis serves.":                                         {Name: "redis", Condition: resilient.Up},
		"redis does not serve.":                                 {Name: "redis", Condition: resilient.Down},
		"redis serves, but not as it should.":                   {Name: "redis", Condition: resilient.Degraded},
		"redis is let through: nothing is known of its health.": {Name: "redis"},
	} {
		require.Equal(t, want, verdict(&st))
	}
}

func TestAKindThatIsTheNameIsNotSaidTwice(t *testing.T) {
	p := New(Config{})
	p.Watch(says(resilient.Status{Name: "failover", Kind: "failover"}), says(resilient.Status{Name: "orders", Kind: "failover"}))
	page := get(t, p, "/").Body.String()
	require.Contains(t, page, `<h2>failover <span`)
	require.Contains(t, page, `<h2>orders <small>failover</small> <span`)
}

func TestSeveralStoresAreSummedUpByTheWorst(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())), says(resilient.Status{Name: "redis", Condition: resilient.Down}), nil,
		says(resilient.Status{Name: "etcd", Condition: resilient.Up}))
	v := p.view(p.read(), time.Now())
	require.Equal(t, "down", v.Condition)
	require.Equal(t, "Of 3: 1 down, 1 degraded, 1 up.", v.Verdict)
	require.True(t, strings.HasPrefix(v.DocTitle, "DOWN · "))
	require.Contains(t, v.Say, "redis: redis does not serve.", "it is said aloud whatever the heading sums up")
}

func TestAStoreIsShownOnce(t *testing.T) {
	p := New(Config{})
	r := &resilientStore{}
	p.Watch(r, r, nil, (*resilientStore)(nil))
	p.Watch(r)
	require.Len(t, p.read(), 1)
}

type resilientStore struct{}

func (*resilientStore) Status() resilient.Status { return resilient.Status{} }
