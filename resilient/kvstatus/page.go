package kvstatus

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Page is an Observer that remembers what it is told, and an http.Handler that
// shows it with the status of what it watches. Make it with New; it is safe for
// concurrent use.
type Page struct {
	cfg     Config
	began   time.Time
	records records
	log     log
	viewers viewers
	news    atomic.Uint64 // counts what has to be shown at once

	mu      sync.Mutex // guards watched
	watched []*watch

	drawing sync.Mutex // guards drawn; held while a page is drawn, which asks nobody
	drawn   *frame
}

var (
	_ resilient.Observer = (*Page)(nil)
	_ http.Handler       = (*Page)(nil)
)

// New returns a Page that watches nothing yet. It starts no goroutine.
func New(cfg Config) *Page {
	cfg = cfg.withDefaults()
	return &Page{
		cfg: cfg, began: time.Now(), log: log{entries: last[*entry]{size: cfg.Events}},
		viewers: viewers{most: cfg.MaxViewers, closed: make(chan struct{})},
	}
}

// Close ends all live pages, which http.Server.Shutdown would wait for: give it
// to http.Server.RegisterOnShutdown. Everything else goes on. It can be called
// more than once, and always returns nil.
func (p *Page) Close() error {
	p.viewers.close()
	return nil
}

// ServeHTTP serves the page and its parts. It may be mounted anywhere with
// http.StripPrefix, of a prefix with a slash at its end or without.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, plain, "method not allowed\n")
		return
	}
	switch part(r) {
	case "/livez":
		answer(w, http.StatusOK, plain, "ok\n")
	case "/readyz":
		p.serveReady(w, r)
	case "/health":
		p.serveHealth(w)
	case "/status.json":
		p.serveStatus(w)
	case "/events":
		p.serveEvents(w, r)
	case "/":
		p.servePage(w)
	case "":
		toFolder(w, r)
	case "/page.css":
		answer(w, http.StatusOK, "text/css; charset=utf-8", pageStyle)
	case "/page.js":
		answer(w, http.StatusOK, "text/javascript; charset=utf-8", pageScript)
	case "/icon.svg":
		answer(w, http.StatusOK, "image/svg+xml", icon(r.URL.RawQuery))
	default:
		answer(w, http.StatusNotFound, plain, "not found\n")
	}
}

// part returns which part of the page r asks for, with the slash that a prefix
// which ends with one takes away; "" if it asks for the folder without its slash.
func part(r *http.Request) string {
	switch name := r.URL.Path; {
	case strings.HasPrefix(name, "/"):
		return name
	case name != "" || folder(r.RequestURI):
		return "/" + name
	}
	return ""
}

// folder reports whether the path of a request's first line ends with a slash.
func folder(uri string) bool {
	u, err := url.ParseRequestURI(uri)
	return err == nil && strings.HasSuffix(u.Path, "/")
}

// toFolder sends a browser from where the page is mounted to the same with a
// slash, which its links are relative to. The prefix that was stripped is in the
// request's first line alone.
func toFolder(w http.ResponseWriter, r *http.Request) {
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || u.Path == "" {
		answer(w, http.StatusNotFound, plain, "not found\n")
		return
	}
	w.Header().Set("Location", "./"+url.PathEscape(path.Base(u.Path))+"/")
	answer(w, http.StatusMovedPermanently, plain, "moved\n")
}

const plain = "text/plain; charset=utf-8"

// answer sends a whole answer. Whoever does not read it is gone: there is nobody
// to tell.
func answer[T string | []byte](w http.ResponseWriter, code int, kind string, body T) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}
