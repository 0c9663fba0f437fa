package failover

import "sync"

// ordered runs functions in the order in which they were added, one at a time,
// on whichever goroutine finds nobody running them. add may be called with
// locks held, run must not.
type ordered struct {
	mu      sync.Mutex // guards all below
	queue   []func()
	running bool
}

func (o *ordered) add(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, f)
}

func (o *ordered) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running {
		return
	}
	o.running = true
	defer func() { o.running = false }()
	for len(o.queue) > 0 {
		f := o.queue[0]
		o.queue = o.queue[1:]
		func() {
			o.mu.Unlock()
			defer o.mu.Lock()
			f()
		}()
	}
}
