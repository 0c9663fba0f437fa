package kvstatus

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// viewers are the live pages.
type viewers struct {
	most   int
	closed chan struct{}

	mu   sync.Mutex // guards what follows
	all  map[chan struct{}]struct{}
	done bool
}

// join returns a channel that says when there is news, or nil if there is no
// room for one more.
func (v *viewers) join() chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done || len(v.all) >= v.most {
		return nil
	}
	if v.all == nil {
		v.all = map[chan struct{}]struct{}{}
	}
	c := make(chan struct{}, 1)
	v.all[c] = struct{}{}
	return c
}

func (v *viewers) leave(c chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, c)
}

// wake tells all viewers that there is news. It waits for nobody.
func (v *viewers) wake() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for c := range v.all {
		select {
		case c <- struct{}{}:
		default: // it has been told, and has not looked yet
		}
	}
}

func (v *viewers) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.done {
		v.done = true
		close(v.closed)
	}
}

// serveEvents keeps a live page up to date until its viewer leaves, does not
// read, or the Page is closed.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	news := p.viewers.join()
	if news == nil {
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, plain, "too many live pages\n")
		return
	}
	defer p.viewers.leave(news)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	out := http.NewResponseController(w)
	tick := time.NewTicker(p.cfg.Every)
	defer tick.Stop()
	pause := time.NewTimer(0) // between two frames, however much happens
	defer pause.Stop()
	for {
		if !p.send(w, out) {
			return
		}
		pause.Reset(leastEvery)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			return
		case <-p.viewers.closed:
			return
		}
		select {
		case <-news:
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-p.viewers.closed:
			return
		}
	}
}

// send sends one frame within sendWithin, and reports whether it did.
func (p *Page) send(w http.ResponseWriter, out *http.ResponseController) bool {
	err := out.SetWriteDeadline(time.Now().Add(sendWithin))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	for _, part := range [][]byte{[]byte("event: state\ndata: "), p.frame().message, []byte("\n\n")} {
		if _, err := w.Write(part); err != nil {
			return false
		}
	}
	return out.Flush() == nil
}
