package browser_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// service is a group of two stores under load, and the page that shows it.
type service struct {
	t      *testing.T
	page   *kvstatus.Page
	group  *failover.KV
	faults []*kvtest.Fault
	events *kvtest.Recorder
	url    string
	server *httptest.Server
}

func serve(t *testing.T, cfg kvstatus.Config) *service {
	t.Helper()
	cfg.Title = "Order service"
	s := &service{t: t, page: kvstatus.New(cfg), events: &kvtest.Recorder{}}
	observer := resilient.Tee(s.page, s.events)
	var members []resilient.KVWithHealth
	for _, name := range []string{"bolt", "badger"} {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		fault := kvtest.NewFault(kv)
		fault.Latency(200 * time.Microsecond)
		store, err := resilient.Wrap(fault, resilient.Config{
			Name: name, Observer: observer, Breaker: breaker.Config{OpenFor: 50 * time.Millisecond, MaxOpenFor: 100 * time.Millisecond},
			Probe: resilient.Probe{
				Interval: time.Second, FastInterval: 100 * time.Millisecond, DownInterval: 100 * time.Millisecond, MaxDownInterval: 100 * time.Millisecond,
			},
		})
		require.NoError(t, err)
		s.faults, members = append(s.faults, fault), append(members, store)
	}
	var err error
	s.group, err = failover.New(failover.Config{
		Name: "orders", Writes: failover.Mirror, Complete: true, Observer: observer, Failback: failover.Failback{After: -1},
	}, members...)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, f := range s.faults {
			f.Up()
		}
		require.Eventually(t, func() bool { return s.group.Flush(context.Background()) == nil }, time.Minute, 50*time.Millisecond)
		require.NoError(t, s.group.Close())
	})
	s.page.Watch(s.group)
	s.server = httptest.NewServer(s.mux())
	s.url = s.server.URL + "/status/"
	t.Cleanup(s.stop)
	s.drive()
	return s
}

func (s *service) mux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/status/", http.StripPrefix("/status", s.page))
	return mux
}

func (s *service) stop() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// drive reads and writes until the test ends.
func (s *service) drive() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_ = s.group.SetRaw(ctx, "key", []byte("value"))
			_, _ = s.group.GetRaw(ctx, "key")
			time.Sleep(5 * time.Millisecond)
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// activates waits until a member serves.
func (s *service) activates(name string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.group.Active() == name }, time.Minute, 10*time.Millisecond)
}

func TestASwitchIsOnThePageAtOnce(t *testing.T) {
	s := serve(t, kvstatus.Config{Every: time.Hour}) // so that nothing but the switch brings it there
	b := open(t)
	b.visit(s.url)
	b.until(verdict + `.includes("bolt serves.")`)
	b.script(`new MutationObserver(() => {
		if (!window.seen && ` + verdict + `.includes("badger serves in place of bolt")) window.seen = Date.now();
	}).observe(document.getElementById("state"), {subtree: true, childList: true, characterData: true})`)
	s.faults[0].Down()
	b.until(`window.seen`)
	told := s.events.Of(resilient.KindSwitch)
	took := time.UnixMilli(eval[int64](b, `window.seen`)).Sub(told[len(told)-1].Time)
	t.Logf("the switch was on the page after %v", took)
	require.Less(t, took, 3*time.Second, "a second on a machine that is not busy")
	b.until(`document.getElementById("say").textContent.includes("badger serves in place of bolt")`)
	require.Contains(t, eval[string](b, `document.title`), "badger serves in place of bolt")
	require.Contains(t, eval[string](b, `document.getElementById("icon").href`), "icon.svg?degraded")
	require.Empty(t, b.complaints())
}

func TestThePageIsGoodToLookAtInEveryWay(t *testing.T) {
	source := axe(t)
	s := serve(t, kvstatus.Config{})
	b := open(t)
	b.visit(s.url)
	for _, state := range []struct {
		name, verdict string
		make          func()
	}{
		{"up", "bolt serves.", func() {}},
		{"degraded", "badger serves in place of bolt.", func() { s.faults[0].Down() }},
		{"down", "Nobody serves.", func() { s.faults[1].Down() }},
		{"back", "bolt serves.", func() { s.faults[0].Up(); s.faults[1].Up() }},
	} {
		state.make()
		b.until(verdict + `.includes("` + state.verdict + `")`)
		time.Sleep(3 * time.Second) // something to see on the plots
		for _, l := range looks {
			b.use(l)
			b.shoot(state.name + "-" + l.name())
			require.LessOrEqual(t, eval[int64](b, `document.documentElement.scrollWidth`), l.width, "%s %s scrolls sideways", state.name, l.name())
			back := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
			require.Equal(t, l.scheme == "dark", strings.HasPrefix(back, "rgb(1"), back)
			b.accessible(source)
		}
	}
	require.Empty(t, b.complaints())
}

func TestScreenReadersHearOfSwitchesAndNotOfEveryTick(t *testing.T) {
	s := serve(t, kvstatus.Config{Every: 100 * time.Millisecond})
	b := open(t)
	b.visit(s.url)
	b.until(verdict + `.includes("bolt serves.")`)
	b.script(`window.ticks = 0; window.spoken = [];
		new MutationObserver(() => window.ticks++).observe(document.getElementById("state"), {subtree: true, childList: true, characterData: true});
		new MutationObserver(() => window.spoken.push(document.getElementById("say").textContent))
			.observe(document.getElementById("say"), {subtree: true, childList: true, characterData: true})`)
	b.until(`window.ticks > 10`)
	require.Empty(t, eval[[]string](b, `window.spoken`))
	s.faults[0].Down()
	b.until(`window.spoken.length > 0`)
	b.until(`window.spoken.at(-1).includes("badger serves in place of bolt")`)
}

func TestFocusStaysWhileThePageIsUpdated(t *testing.T) {
	s := serve(t, kvstatus.Config{Every: 100 * time.Millisecond})
	b := open(t)
	b.visit(s.url)
	b.do(chromedp.Focus(chromedp.CSS("footer a")))
	b.script(`window.first = document.querySelector("#state .member"); window.now = document.querySelector(".now").textContent`)
	b.until(`document.querySelector(".now").textContent !== window.now`)
	require.True(t, eval[bool](b, `document.activeElement.matches("footer a") && document.querySelector("#state .member") === window.first`),
		"what stays is not replaced")
}

func TestThePageSaysWhenTheServiceGoesAwayAndWhenItIsBack(t *testing.T) {
	s := serve(t, kvstatus.Config{})
	b := open(t)
	b.visit(s.url)
	b.until(verdict + `.includes("bolt serves.")`)
	const gone = `document.getElementById("gone").textContent`
	require.Empty(t, eval[string](b, gone))
	require.Empty(t, b.complaints())

	address := s.server.Listener.Addr().String()
	s.stop()
	b.until(gone + `.includes("The service has not answered since")`)
	require.True(t, eval[bool](b, `document.body.classList.contains("gone")`))
	b.accessible(axe(t))
	b.shoot("gone")

	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s.server = httptest.NewUnstartedServer(s.mux())
	require.NoError(t, s.server.Listener.Close())
	s.server.Listener = listener
	s.server.Start()
	b.until(gone + ` === ""`)
	require.False(t, eval[bool](b, `document.body.classList.contains("gone")`))
}

func TestThePageSaysWhenTheServiceIsFrozen(t *testing.T) {
	s := serve(t, kvstatus.Config{})
	b := open(t)
	ended := make(chan struct{})
	// A frozen process keeps its connections open and says nothing on them.
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			s.mux().ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-ended
	})
	defer close(ended)
	b.visit(s.url)
	b.until(`document.getElementById("gone").textContent.includes("The service has not answered since")`)
}

func TestTheFirstViewNeedsNoScript(t *testing.T) {
	s := serve(t, kvstatus.Config{})
	s.faults[0].Down()
	s.activates("badger")
	b := open(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(s.url)
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main")))
	require.NoError(t, err)
	require.Contains(t, text, "badger serves in place of bolt.")
	require.Contains(t, text, "write")
	require.Empty(t, b.complaints())
}
