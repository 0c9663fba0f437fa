package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// service is what is served on the one port.
type service struct {
	seen    *observers
	bolt    *kvtest.Fault
	buttons bool // bolt may be taken away over HTTP
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.seen.registry, promhttp.HandlerOpts{}))
	mux.Handle("/status", http.StripPrefix("/status", s.seen.page))
	mux.Handle("/status/", http.StripPrefix("/status", s.seen.page))
	// Kubernetes asks for these where it is told to; here they stand at the root.
	for _, path := range []string{"/livez", "/readyz", "/health"} {
		mux.Handle(path, s.seen.page)
	}
	if s.buttons {
		mux.Handle("POST /fault", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.fault)))
	}
	return mux
}

func (s *service) announce(out io.Writer, at net.Addr) {
	fmt.Fprintf(out, "http://%s/         what is here, and buttons that make bolt fail\n", at)
	fmt.Fprintf(out, "http://%s/status/  the live page\n", at)
	fmt.Fprintf(out, "http://%s/metrics  for Prometheus\n", at)
}

func isLoopback(at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

const indexPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Order service</title>
<h1>Order service</h1>
<p>See <a href="status/">the live page</a>, <a href="metrics">metrics</a>, <a href="health">health</a>, <a href="readyz">readyz</a>.</p>
%s</html>
`

const buttons = `<form method="post" action="fault"><p>Bolt, the first store:
<button name="do" value="down">refuses every call</button>
<button name="do" value="hang">hangs</button>
<button name="do" value="unhealthy">fails its health checks</button>
<button name="do" value="up">is well</button></p></form>
`

func (s *service) index(w http.ResponseWriter, _ *http.Request) {
	body := ""
	if s.buttons {
		body = buttons
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, indexPage, body)
}

// fault does to bolt what a button says.
func (s *service) fault(w http.ResponseWriter, r *http.Request) {
	// A name that leads here is somebody else's.
	if host, _, err := net.SplitHostPort(r.Host); err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		http.Error(w, "the buttons work on a loopback address only", http.StatusForbidden)
		return
	}
	switch r.FormValue("do") {
	case "down":
		s.bolt.Down()
	case "hang":
		s.bolt.HangIgnoringContext()
	case "unhealthy":
		s.bolt.Unhealthy(nil)
	case "up":
		s.bolt.Up()
	default:
		http.Error(w, "do must be down, hang, unhealthy or up", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "status/", http.StatusSeeOther)
}
