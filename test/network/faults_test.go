package network

import (
	"net"
	"time"
)

const (
	// patience is how long a call may take. What goes well takes a few
	// milliseconds, with the network at its slowest a tenth of a second, on a
	// machine that has little else to do.
	patience = time.Second
	// comfort is how long one may take that is there to see that all is well.
	comfort = 20 * time.Second
	// slack is how much later a call may return; the contract says 500 ms, and
	// the rest is for a machine that is busy with other tests.
	slack = 1500 * time.Millisecond
	// late is how long what is delayed takes: a call that waits for it has no
	// patience left.
	late = 2500 * time.Millisecond
)

// fault is one way in which a network misbehaves.
type fault struct {
	name string
	does string // to the reader of the matrix
	// toxics are added to the proxy when the fault begins.
	toxics []toxic
	// marks are toxics that do nothing, and that a connection must have had from
	// its beginning.
	marks []toxic
	// begin and end are for what no toxic does; nil = toxics are all there is.
	begin, end func(*proxy) error
	// holds is how long the network may keep a request back that its caller has
	// given up.
	holds time.Duration
	// lingers is how much longer than the fault a connection that it met looks as
	// if it were alive.
	lingers time.Duration
	// onlyLarge says that small calls may go well where large ones do not.
	onlyLarge bool
}

func of(kind, stream, attribute string, n int64) toxic {
	return toxic{Type: kind, Stream: stream, With: map[string]any{attribute: n}, Toxicity: 1}
}

// reset ends connections with an RST.
func reset(stream string) toxic { return of("reset_peer", stream, "timeout", 0) }

// mark is the toxic at none of the connections, under another name. Toxiproxy
// makes a connection one that can be reset when it begins, and only then.
func mark(t toxic) toxic {
	t.Name, t.Toxicity = "mark", 0
	return t
}

var faults = []fault{
	{name: "slow", does: "10 ms each way", toxics: []toxic{of("latency", up, "latency", 10), of("latency", down, "latency", 10)}},
	{
		name: "answers late", does: "answers take 2.5 s",
		toxics: []toxic{of("latency", down, "latency", late.Milliseconds())},
	},
	{
		name: "requests late", does: "requests take 2.5 s", holds: late,
		toxics: []toxic{of("latency", up, "latency", late.Milliseconds())},
	},
	{
		name: "black hole", does: "nothing passes, either way",
		toxics: []toxic{of("timeout", up, "timeout", 0), of("timeout", down, "timeout", 0)},
	},
	{
		name: "half open", does: "requests pass, answers do not",
		toxics: []toxic{of("timeout", down, "timeout", 0)},
	},
	{
		name: "request reset", does: "RST in place of the request",
		toxics: []toxic{reset(up)}, marks: []toxic{mark(reset(up))},
	},
	{
		name: "answer reset", does: "RST in place of the answer",
		toxics: []toxic{reset(down)}, marks: []toxic{mark(reset(down))},
	},
	{
		name: "request cut", does: "the connection ends after 10 bytes of the request",
		toxics: []toxic{of("limit_data", up, "bytes", 10)},
	},
	{
		name: "ack lost", does: "the connection ends before the answer",
		toxics: []toxic{of("limit_data", down, "bytes", 0)},
	},
	{
		name: "answer cut", does: "the connection ends after 3 bytes of the answer",
		toxics: []toxic{of("limit_data", down, "bytes", 3)},
	},
	{
		name: "slow close", does: "the answer is lost, and the connection ends 2.5 s later", lingers: late,
		toxics: []toxic{of("limit_data", down, "bytes", 0), of("slow_close", down, "delay", late.Milliseconds())},
	},
	{
		name: "narrow", does: "16 KB/s each way, values of 64 KiB", holds: 5 * time.Second, onlyLarge: true,
		toxics: []toxic{of("bandwidth", up, "rate", 16), of("bandwidth", down, "rate", 16)},
	},
	{
		name: "refused", does: "nobody listens",
		begin: func(p *proxy) error { return p.move("") },
		end:   func(p *proxy) error { return p.move(p.where) },
	},
	{
		name: "nothing behind", does: "connections are taken, and end at once",
		begin: func(p *proxy) error { return p.move(nowhere()) },
		end:   func(p *proxy) error { return p.move(p.where) },
	},
}

// nowhere is an address that nobody listens at.
func nowhere() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:1"
	}
	defer l.Close()
	return l.Addr().String()
}

// prepare is called before the first connection.
func (f fault) prepare(p *proxy) error { return each(f.marks, p.add) }

// strike begins the fault.
func (f fault) strike(p *proxy) error {
	if f.begin != nil {
		// The client's side has heard of the end of its connections when it calls.
		defer time.Sleep(50 * time.Millisecond)
		return f.begin(p)
	}
	return each(f.toxics, p.add)
}

// pass ends it.
func (f fault) pass(p *proxy) error {
	if f.end != nil {
		return f.end(p)
	}
	return p.heal()
}

func each(toxics []toxic, do func(toxic) error) error {
	for _, t := range toxics {
		if err := do(t); err != nil {
			return err
		}
	}
	return nil
}
