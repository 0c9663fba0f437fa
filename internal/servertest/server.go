package servertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startWithin is how long a server may take until it answers. It is only used
// up by one that never will.
const startWithin = time.Minute

// Server is a running server, or one that was killed or stopped and can be
// started again. The test's end kills it and removes its data. Its methods fail
// the test if they cannot do what they say; they may be called from the test's
// goroutines, one at a time.
type Server struct {
	tb   testing.TB
	spec spec
	dir  string
	port int

	mu struct { // guards what other goroutines than the caller's look at
		sync.Mutex
		run *run
	}
}

// spec says how a kind of server is started.
type spec struct {
	name    string
	program string // path
	who     string // the user to run it as if this process is root; "" = the same
	// prepare fills dir before the first start; nil = nothing to do.
	prepare func(dir string) error
	args    func(dir string, port int) []string
	env     []string
	// ready returns nil once the server answers at addr.
	ready func(ctx context.Context, addr string) error
	// stop is the signal that ends the server in order.
	stop syscall.Signal
}

// run is one life of the process.
type run struct {
	pid   int
	ended chan struct{} // closed when the process has been waited for
}

// start starts a server of the given kind, in a folder of its own.
func start(tb testing.TB, s spec) *Server {
	tb.Helper()
	srv := &Server{tb: tb, spec: s, dir: folder(tb, s.who)}
	tb.Cleanup(srv.Kill)
	if s.prepare != nil {
		if err := s.prepare(srv.dir); err != nil {
			tb.Fatalf("servertest: preparing %s: %v", s.name, err)
		}
	}
	var err error
	for range 3 { // somebody else may have taken the port in between
		srv.port = freePort(tb)
		if err = srv.launch(); err == nil {
			return srv
		}
	}
	tb.Fatalf("servertest: %v", err)
	return nil
}

// freePort returns a port of the loopback interface that nobody listens on.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("servertest: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Addr returns host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir returns the folder with the server's data and its log.
func (s *Server) Dir() string { return s.dir }

// Start starts the server again, on the same port with the same data, and
// waits until it answers. It does nothing if it runs.
func (s *Server) Start() {
	s.tb.Helper()
	if s.running() != nil {
		return
	}
	if err := s.launch(); err != nil {
		s.tb.Fatalf("servertest: %v", err)
	}
}

// Stop ends the server in order, as an operator would, and waits for its end.
func (s *Server) Stop() { s.end(s.spec.stop) }

// Kill ends the server and all its processes at once (SIGKILL), and waits for
// its end.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Freeze stops all processes of the server where they are (SIGSTOP), and waits
// until they stand: its connections stay open, and nothing answers.
func (s *Server) Freeze() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	r, over := s.running(), time.Now().Add(startWithin)
	for r != nil && !stands(r.pid) {
		if time.Now().After(over) {
			s.tb.Errorf("servertest: %s does not stand still after %v", s.spec.name, startWithin)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Wake lets a frozen server go on (SIGCONT), first with what has been sent to
// it meanwhile.
func (s *Server) Wake() { s.signal(syscall.SIGCONT) }

// Run runs one of the server's own tools and returns what it printed.
func (s *Server) Run(name string, args ...string) (string, error) {
	return runTool(s.dir, s.spec.who, name, args...)
}

func (s *Server) running() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.run
}

func (s *Server) signal(sig syscall.Signal) {
	if r := s.running(); r != nil {
		signal(r.pid, sig)
	}
}

func (s *Server) end(sig syscall.Signal) {
	r := s.running()
	if r == nil {
		return
	}
	var killed map[int]bool
	if sig == syscall.SIGKILL {
		killed = signal(r.pid, sig)
	} else {
		_ = syscall.Kill(r.pid, sig)
		signal(r.pid, syscall.SIGCONT)
	}
	select {
	case <-r.ended:
	case <-time.After(startWithin):
		signal(r.pid, syscall.SIGKILL)
		<-r.ended
		s.tb.Errorf("servertest: %s did not end in %v after %v", s.spec.name, startWithin, sig)
	}
	for over := time.Now().Add(startWithin); !gone(killed) && time.Now().Before(over); {
		time.Sleep(time.Millisecond) // children may outlive the first process for a moment
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.run = nil
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	r, err := s.begin()
	if err != nil {
		return err
	}
	if err := s.await(r); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// begin starts the process.
func (s *Server) begin() (*run, error) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.spec.program, s.spec.args(s.dir, s.port)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.Env = append(os.Environ(), s.spec.env...)
	if cmd.SysProcAttr, err = attributes(s.spec.who); err != nil {
		return nil, err
	}
	r := &run{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(r.ended)
		// The kernel ends the server with the thread that started it, so that
		// no server outlives a test process that was killed: the thread must
		// last as long as the server does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.spec.name, err)
	}
	r.pid = cmd.Process.Pid
	s.mu.Lock()
	s.mu.run = r
	s.mu.Unlock()
	return r, nil
}

// await waits until the server answers.
func (s *Server) await(r *run) error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		err := s.spec.ready(ctx, s.Addr())
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return fmt.Errorf("%s has ended instead of starting: %s", s.spec.name, s.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer after %v: %w: %s", s.spec.name, startWithin, err, s.lastLog())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// lastLog returns the end of the server's log.
func (s *Server) lastLog() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-2000):])
}

// dial connects to addr for one exchange of at most a second.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(time.Second))
}

// runTool runs a program in dir as who and returns what it printed; its error
// has that too.
func runTool(dir, who, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var err error
	if cmd.SysProcAttr, err = credentials(who); err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, out)
	}
	return string(out), nil
}
