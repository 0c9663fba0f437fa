package backends_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
)

// life is one life of a process that is killed: clients on a group whose
// journal is on the disk. It is the test binary, run with lifeVariable.
type life struct {
	Writes    failover.Writes
	Members   []address
	Namespace string
	Journal   string // path
	Keys      []string
	Clients   int
	Number    int // of the life, from 1
	Seed      uint64
}

// address is where a member is.
type address struct{ Kind, Where string }

const lifeVariable = "HOLDFAST_TEST_LIFE"

// line is what a life writes about a call: at its begin, before anything is
// sent, and at its end.
type line struct {
	Client, Call int
	At           int64 // Unix time in nanoseconds
	Ins          []linear.In
	Ended        bool
	Got          map[string]string
	Err          string // "", or a key of errorNames
}

// errorNames are the errors that a history tells apart.
var errorNames = []struct {
	name string
	err  error
}{
	{"uncertain", failover.ErrUncertain},
	{"ambiguous", resilient.ErrAmbiguous},
	{"refused", resilient.ErrRefused},
	{"unavailable", resilient.ErrUnavailable},
}

func errorName(err error) string {
	if err == nil {
		return ""
	}
	for _, e := range errorNames {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return "without a class: " + err.Error()
}

func errorNamed(name string) error {
	if name == "" {
		return nil
	}
	for _, e := range errorNames {
		if e.name == name {
			return e.err
		}
	}
	return errors.New(name)
}

// onPipe is the recorder of a life: each line is out before the call goes on.
type onPipe struct {
	mu    sync.Mutex // keeps lines whole
	to    io.Writer
	calls int
}

func (p *onPipe) begin(client int, ins []linear.In) func(map[string][]byte, error) {
	p.mu.Lock()
	p.calls++
	n := p.calls
	p.mu.Unlock()
	p.write(line{Client: client, Call: n, At: time.Now().UnixNano(), Ins: ins})
	return func(got map[string][]byte, err error) {
		l := line{Client: client, Call: n, At: time.Now().UnixNano(), Ended: true, Err: errorName(err), Got: map[string]string{}}
		for key, value := range got {
			l.Got[key] = string(value)
		}
		p.write(l)
	}
}

func (p *onPipe) write(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.to.Write(append(text, '\n'))
}

// live is the whole of a life; it ends by being killed.
func live(text string) {
	var l life
	err := json.Unmarshal([]byte(text), &l)
	var group *failover.KV
	if err == nil {
		group, err = l.join(nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "life:", err)
		os.Exit(1)
	}
	clients := &load{
		kv: group, rec: &onPipe{to: os.Stdout}, keys: l.Keys, seed: l.Seed, life: l.Number, first: 100 * l.Number,
	}
	clients.run(l.Clients, nil)
}

// join opens the members, the journal and the group.
func (l life) join(observer resilient.Observer) (group *failover.KV, err error) {
	members := make([]resilient.KVWithHealth, len(l.Members))
	for i, m := range l.Members {
		if members[i], err = openAt(m, l.Namespace); err != nil {
			return nil, err
		}
	}
	cfg := hurried(observer)
	cfg.Writes = l.Writes
	if cfg.Journal, err = boltjournal.Open(l.Journal, boltjournal.Config{}); err != nil {
		return nil, err
	}
	return failover.New(cfg, members...)
}

// begin starts the life as a process of its own; what it writes goes to lines
// until it is killed.
func (l life) begin(t *testing.T) (lines *transcript, kill func()) {
	text, err := json.Marshal(l)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lifeVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	tr := &transcript{done: make(chan struct{})}
	go tr.read(out)
	return tr, func() {
		_ = cmd.Process.Kill()
		<-tr.done
		tr.killed = time.Now()
		_ = cmd.Wait()
	}
}

// transcript is what one life has written.
type transcript struct {
	done   chan struct{}
	lines  []line
	killed time.Time
	err    error
}

func (tr *transcript) read(r io.Reader) {
	defer close(tr.done)
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			return // what has no end was cut off by the kill
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			tr.err = fmt.Errorf("%w: %q", err, text)
			return
		}
		tr.lines = append(tr.lines, l)
	}
}

// tell adds the life to a history. Calls that nobody heard the end of may have
// been applied.
func (tr *transcript) tell(t *testing.T, h *linear.History) {
	require.NoError(t, tr.err)
	begun := map[int]line{}
	for _, l := range tr.lines {
		if !l.Ended {
			begun[l.Call] = l
			continue
		}
		b := begun[l.Call]
		delete(begun, l.Call)
		got := map[string][]byte{}
		for key, value := range l.Got {
			got[key] = []byte(value)
		}
		told(h.Past(b.Client, time.Unix(0, b.At), time.Unix(0, l.At)), b.Ins, got, errorNamed(l.Err))
	}
	for _, b := range begun {
		if writes(b.Ins) {
			h.Past(b.Client, time.Unix(0, b.At), tr.killed).Wrote(resilient.ErrAmbiguous, b.Ins...)
		}
	}
	h.CrashedAt(tr.killed)
}
