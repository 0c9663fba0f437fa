package kvstatus

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// viewer is a live page. It keeps what it is sent.
type viewer struct {
	http.ResponseWriter // panics if used
	header              http.Header
	sent                chan string
	blocked             bool // it does not read
	deadline            time.Time
	code                int
}

func (v *viewer) Header() http.Header  { return v.header }
func (v *viewer) WriteHeader(code int) { v.code = code }
func (v *viewer) FlushError() error    { return nil }

func (v *viewer) SetWriteDeadline(at time.Time) error {
	v.deadline = at
	return nil
}

func (v *viewer) Write(b []byte) (int, error) {
	if v.blocked {
		time.Sleep(time.Until(v.deadline))
		return 0, errors.New("deadline")
	}
	if strings.HasPrefix(string(b), "{") {
		v.sent <- string(b)
	}
	return len(b), nil
}

// open opens a live page of p, until leave is called.
func open(t *testing.T, p *Page, blocked bool) (v *viewer, ended <-chan struct{}, leave func()) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/events", http.NoBody)
	require.NoError(t, err)
	v = &viewer{header: http.Header{}, sent: make(chan string, 1000), blocked: blocked, code: http.StatusOK}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.ServeHTTP(v, r)
	}()
	return v, done, leave
}

// messages takes what a viewer was sent.
func (v *viewer) messages(t *testing.T) (all []message) {
	t.Helper()
	for {
		select {
		case text := <-v.sent:
			var m message
			require.NoError(t, json.Unmarshal([]byte(text), &m))
			all = append(all, m)
		default:
			return all
		}
	}
}

func switchTo(to string) resilient.Event {
	return resilient.Event{Kind: resilient.KindSwitch, Group: "orders", From: "bolt", To: to, Time: time.Now()}
}

func TestALivePageIsSentTheStateEverySecondAndASwitchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		p.Watch(statusOf(func() resilient.Status { return groupStatus(time.Now()) }))
		v, ended, leave := open(t, p, false)
		synctest.Wait()
		first := v.messages(t)
		require.Len(t, first, 1)
		require.Equal(t, "orders: badger serves in place of bolt.", first[0].Say)
		require.Equal(t, "icon.svg?degraded", first[0].Icon)
		require.Equal(t, "text/event-stream", v.header.Get("Content-Type"))

		time.Sleep(10*time.Second + time.Millisecond)
		require.Len(t, v.messages(t), 10)

		time.Sleep(150 * time.Millisecond) // what was drawn for the tick would still do
		p.Observe(t.Context(), switchTo("badger"))
		synctest.Wait()
		now := v.messages(t)
		require.Len(t, now, 1)
		require.Contains(t, now[0].HTML, "badger serves in place of bolt</span>")

		leave()
		<-ended
		require.Empty(t, p.viewers.all)
	})
}

func TestAStormOfChangesIsSentTenTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		v, _, leave := open(t, p, false)
		defer leave()
		synctest.Wait()
		began := time.Now()
		for range 1000 {
			p.Observe(t.Context(), switchTo("badger"))
			time.Sleep(time.Millisecond)
		}
		require.Equal(t, time.Second, time.Since(began))
		require.InDelta(t, 11, len(v.messages(t)), 1)
	})
}

func TestS29_AViewerThatDoesNotReadIsDroppedAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		_, ended, leave := open(t, p, true)
		defer leave()
		other, _, leaveOther := open(t, p, false)
		defer leaveOther()
		synctest.Wait()
		began := time.Now()
		for range 100 {
			p.Observe(t.Context(), switchTo("badger"))
		}
		require.Equal(t, http.StatusOK, get(t, p, "/").Code)
		require.Zero(t, time.Since(began))
		time.Sleep(time.Second)
		require.NotEmpty(t, other.messages(t))
		<-ended
		require.Equal(t, sendWithin, time.Since(began))
		require.Len(t, p.viewers.all, 1)
	})
}

func TestThereAreNoMoreLivePagesThanMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{MaxViewers: 2})
		_, ended, leave := open(t, p, false)
		_, _, leaveSecond := open(t, p, false)
		defer leaveSecond()
		synctest.Wait()
		one, refusal, leaveOne := open(t, p, false)
		defer leaveOne()
		synctest.Wait()
		require.Equal(t, http.StatusServiceUnavailable, one.code)
		require.NotEmpty(t, one.header.Get("Retry-After"))
		<-refusal
		leave()
		<-ended
		v, _, leaveThird := open(t, p, false)
		defer leaveThird()
		synctest.Wait()
		require.Len(t, v.messages(t), 1)
		require.Equal(t, http.StatusServiceUnavailable, get(t, New(Config{MaxViewers: -1}), "/events").Code)
	})
}

func TestCloseEndsLivePagesAndNothingElse(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())))
	server := httptest.NewServer(p)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", http.NoBody)
	require.NoError(t, err)
	client := server.Client()
	client.Timeout = time.Minute
	w, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = w.Body.Close() }()
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, 1<<20)
	require.True(t, lines.Scan())
	require.Equal(t, "event: state", lines.Text())
	require.True(t, lines.Scan())
	require.True(t, strings.HasPrefix(lines.Text(), "data: {"))

	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	for lines.Scan() { // until the connection ends
	}
	require.NoError(t, lines.Err())
	server.Close() // would wait for it
	require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/events").Code)
	require.Equal(t, http.StatusOK, get(t, p, "/readyz").Code)
	p.Observe(t.Context(), switchTo("badger"))
}
