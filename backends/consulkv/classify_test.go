package consulkv

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func pair(key, value string) *api.KVPair { return &api.KVPair{Key: key, Value: []byte(value)} }

// sentinel returns what an error of class matches that a read or a write ended
// with; nil = nothing of this kind.
func sentinel(class resilient.Class, writes bool) error {
	switch {
	case class == resilient.Refused:
		return resilient.ErrRefused
	case class == resilient.Invalid, class == resilient.Conflict:
		return nil
	case writes:
		return resilient.ErrAmbiguous
	}
	return resilient.ErrUnavailable
}

// allEnd runs every operation but those left out and checks how it ends.
func allEnd(t *testing.T, kv *KV, class resilient.Class, without ...string) {
	t.Helper()
	for _, o := range operations(kv, "key-SECRET", []byte("value-SECRET")) {
		if slices.Contains(without, o.name) {
			continue
		}
		err := o.run(t.Context())
		require.Error(t, err, o.name)
		require.Equal(t, class, kv.Classify(err), "%s: %v", o.name, err)
		want := sentinel(class, o.writes)
		for _, one := range []error{resilient.ErrRefused, resilient.ErrAmbiguous} {
			require.Equal(t, want == one, errors.Is(err, one), "%s: %v matches %v", o.name, err, one)
		}
		require.NotErrorIs(t, err, resilient.ErrNotFound)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "SECRET", o.name)
	}
}

// answering is a server that answers everything alike.
func answering(tb testing.TB, status int, header, body string) string {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	tb.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestWithoutALeaderARequestIsHeldAndThenRefused(t *testing.T) {
	kv := open(t, servertest.ConsulWithoutLeader(t).Addr(), Config{Timeout: time.Minute})
	done := make(chan error)
	writes := operations(kv, "key", nil)
	for _, o := range writes {
		go func() { done <- o.run(t.Context()) }() // each is held for 7 s and more
	}
	for range writes {
		err := <-done
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.Equal(t, resilient.Refused, kv.Classify(err))
		require.ErrorContains(t, err, "No cluster leader")
	}
}

func TestATokenThatConsulDoesNotKnowIsRefused(t *testing.T) {
	server := servertest.ConsulWithACL(t)
	kv := open(t, server.Addr(), Config{Token: "00000000-0000-0000-0000-000000000000"})
	allEnd(t, kv, resilient.Refused)
	require.ErrorContains(t, kv.Health(t.Context()), "ACL not found")
}

func TestATokenThatMayNotIsToldSo(t *testing.T) {
	server := servertest.ConsulWithACL(t)
	all := open(t, server.Addr(), Config{Token: servertest.ConsulToken})
	require.NoError(t, all.SetRaw(t.Context(), "key-SECRET", []byte("value")))
	require.NoError(t, all.Health(t.Context()))

	reader := open(t, server.Addr(), Config{Token: token(t, server, `key_prefix "holdfast/" { policy = "read" }`)})
	value, err := reader.GetRaw(t.Context(), "key-SECRET")
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
	keys, err := reader.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key-SECRET"}, keys)
	allEnd(t, reader, resilient.Invalid, "GetRaw", "List", "BatchGetRaw", "Health")
	unhealthy(t, reader)

	writer := open(t, server.Addr(), Config{Token: token(t, server, `key_prefix "holdfast/" { policy = "deny" } key_prefix "other/" { policy = "write" }`)})
	allEnd(t, writer, resilient.Invalid, "Health")
	unhealthy(t, writer)

	part := open(t, server.Addr(), Config{Token: token(t, server, `key_prefix "holdfast/" { policy = "write" } key "holdfast/key-SECRET" { policy = "deny" }`)})
	require.NoError(t, part.Health(t.Context()))
	require.NoError(t, part.SetRaw(t.Context(), "other", nil))
	allEnd(t, part, resilient.Invalid, "Health")

	anonymous := open(t, server.Addr(), Config{})
	allEnd(t, anonymous, resilient.Invalid, "Health")
	unhealthy(t, anonymous)

	for _, o := range operations(all, "key-SECRET", []byte("value")) {
		require.NoError(t, o.run(t.Context()), o.name)
	}
}

func unhealthy(t *testing.T, kv *KV) {
	t.Helper()
	err := kv.Health(t.Context())
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "Permission denied")
}

// token makes a token with one policy of these rules.
func token(tb testing.TB, server *servertest.Server, rules string) string {
	tb.Helper()
	client, err := api.NewClient(&api.Config{Address: server.Addr(), Token: servertest.ConsulToken, HttpClient: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
	}})
	require.NoError(tb, err)
	name := fmt.Sprintf("policy-%d", policies.Add(1))
	_, _, err = client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	require.NoError(tb, err)
	made, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	require.NoError(tb, err)
	return made.SecretID
}

var policies atomic.Int64

func TestARateLimitIsARefusal(t *testing.T) {
	server := servertest.Consul(t, `limits { request_limits { mode = "enforcing", read_rate = 0, write_rate = 0 } }`)
	kv := open(t, server.Addr(), Config{})
	allEnd(t, kv, resilient.Refused)
	require.ErrorContains(t, kv.Health(t.Context()), "rate limit exceeded")
}

func TestAValueOverTheServersOwnLimitIsTooLarge(t *testing.T) {
	kv := open(t, servertest.Consul(t).Addr(), Config{MaxValue: 4 << 20})
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("old")))
	large := make([]byte, 512<<10+1)
	for _, err := range []error{
		kv.SetRaw(t.Context(), "key", large),
		kv.BatchSetRaw(t.Context(), map[string][]byte{"key": large}),
	} {
		require.ErrorIs(t, err, resilient.ErrValueTooLarge)
		require.Equal(t, resilient.Invalid, kv.Classify(err))
	}
	require.NoError(t, kv.SetRaw(t.Context(), "key", large[1:]))
	err := kv.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "key": large})
	require.ErrorIs(t, err, resilient.ErrAmbiguous, "a part of the batch was applied before")
	require.Equal(t, resilient.Failed, kv.Classify(err))
}

func TestS4_ARedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		kv := open(t, answering(t, status, "Location: "+elsewhere.URL+"/v1/agent/leave", ""), Config{})
		// The driver does not tell the status of a transaction that only reads.
		allEnd(t, kv, resilient.Refused, "BatchGetRaw", "Health")
		allEnd(t, kv, resilient.Failed, "GetRaw", "List", "SetRaw", "Delete", "BatchSetRaw", "BatchDelete")
	}
	require.Zero(t, reached.Load())
}

func TestARedirectThatABorrowedClientFollowsIsFoundOut(t *testing.T) {
	var reached atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("X-Consul-Index", "7")
		_, _ = io.WriteString(w, "true")
	}))
	defer elsewhere.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := api.NewClient(&api.Config{
		Address:    answering(t, http.StatusMovedPermanently, "Location: "+elsewhere.URL, ""),
		HttpClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	kv, err := New(client, Config{})
	require.NoError(t, err)
	defer kv.Close()
	allEnd(t, kv, resilient.Failed)
	require.NotZero(t, reached.Load())
}

// Whoever redirects with 303 See Other may have applied the write before.
func TestRegression_AWriteThatWasFollowedElsewhereHadTheFateOfWhatWasMetThere(t *testing.T) {
	for _, status := range []int{400, 403, 404, 429} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		transport := &http.Transport{}
		client, err := api.NewClient(&api.Config{
			Address:    answering(t, http.StatusSeeOther, "Location: "+elsewhere.URL, ""),
			HttpClient: &http.Client{Transport: transport},
		})
		require.NoError(t, err)
		kv, err := New(client, Config{})
		require.NoError(t, err)
		for _, end := range []func(){func() {}, elsewhere.Close} { // there, and not there any more
			end()
			transport.CloseIdleConnections()
			for _, o := range operations(kv, "key", nil) {
				if err := o.run(t.Context()); o.writes {
					require.ErrorIs(t, err, resilient.ErrAmbiguous, "%s: %d", o.name, status)
					require.NotErrorIs(t, err, resilient.ErrRefused, o.name)
					require.Equal(t, resilient.Failed, kv.Classify(err), o.name)
				}
			}
		}
		require.NoError(t, kv.Close())
		transport.CloseIdleConnections()
	}
}

func TestAnswersThatAreNotConsulsAreFailures(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		class  resilient.Class
	}{
		{400, "bad", resilient.Invalid},
		{401, "who are you", resilient.Refused},
		{405, "", resilient.Refused},
		{413, "", resilient.Invalid},
		{429, "slow down", resilient.Refused},
		{500, "oops SECRET", resilient.Failed},
		{502, "<html>SECRET</html>", resilient.Failed},
		{503, "upstream connect error or disconnect/reset before headers", resilient.Failed},
		{504, "", resilient.Failed},
	} {
		kv := open(t, answering(t, c.status, "", c.body), Config{})
		// The driver does not tell the status of a transaction that only reads.
		allEnd(t, kv, c.class, "BatchGetRaw", "Health")
		for _, o := range operations(kv, "key", nil) {
			require.Error(t, o.run(t.Context()), o.name)
		}
	}
	notFound := open(t, answering(t, 404, "", "no such page SECRET"), Config{})
	allEnd(t, notFound, resilient.Failed, "BatchGetRaw", "Health", "SetRaw", "Delete", "BatchSetRaw", "BatchDelete")
	allEnd(t, open(t, answering(t, 200, "Content-Type: text/html", "<html>SECRET true</html>"), Config{}), resilient.Failed)
}

func TestAConnectionThatIsCutAfterTheRequestIsAmbiguousAndUsedOnce(t *testing.T) {
	for name, cut := range map[string]func(c *net.TCPConn){
		"closed": func(c *net.TCPConn) { _ = c.Close() },
		"reset":  func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var requests, health atomic.Int64
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { // one good answer, which makes the connection one of the pool; then none
						r := bufio.NewReader(c)
						for first := true; ; first = false {
							req, err := http.ReadRequest(r)
							if err != nil {
								_ = c.Close()
								return
							}
							_, _ = io.Copy(io.Discard, req.Body)
							if first && req.Method == http.MethodGet {
								health.Add(1)
								_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 5\r\nContent-Length: 0\r\n\r\n")
								continue
							}
							requests.Add(1)
							cut(c.(*net.TCPConn))
							return
						}
					}()
				}
			}()
			kv := open(t, l.Addr().String(), Config{})
			for _, o := range operations(kv, "key", []byte("value")) {
				if !o.writes {
					continue
				}
				_, err := kv.GetRaw(t.Context(), "warm")
				require.ErrorIs(t, err, resilient.ErrNotFound)
				requests.Store(0)
				err = o.run(t.Context())
				require.ErrorIs(t, err, resilient.ErrAmbiguous, o.name)
				require.NotErrorIs(t, err, resilient.ErrRefused, o.name)
				require.EqualValues(t, 1, requests.Load(), "%s was sent again", o.name)
			}
		})
	}
}

func TestAWriteWhoseAnswerIsLostIsAmbiguousAndApplied(t *testing.T) {
	server := servertest.Consul(t)
	direct := open(t, server.Addr(), Config{})
	proxy := record(t, server.Addr())
	handler := proxy.Config.Handler
	proxy.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		handler.ServeHTTP(httptest.NewRecorder(), req)
		panic(http.ErrAbortHandler)
	})
	kv := open(t, proxy.addr(), Config{})
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", []byte("value")), resilient.ErrAmbiguous)
	value, err := direct.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
}

func TestAClusterThatLosesItsLeaderServesAgain(t *testing.T) {
	servers := servertest.ConsulCluster(t)
	kvs := make([]*KV, len(servers))
	for i, s := range servers {
		kvs[i] = open(t, s.Addr(), Config{})
	}
	require.NoError(t, kvs[0].SetRaw(t.Context(), "key", []byte("value")))
	servers[0].Kill()
	for _, kv := range kvs[1:] {
		require.Eventually(t, func() bool {
			err := kv.SetRaw(t.Context(), "key", []byte("value"))
			if err != nil { // a follower cannot reach the leader, or it has lost its place
				t.Log(err)
				require.ErrorIs(t, err, resilient.ErrUnavailable)
			}
			return err == nil
		}, patience, 10*time.Millisecond)
		require.NoError(t, kv.Health(t.Context()))
	}
}

func TestErrorValuesOfTheDriverHaveTheirClass(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	kv := open(t, "127.0.0.1:1", Config{})
	for name, c := range map[string]struct {
		err   error
		class resilient.Class
	}{
		"dial":                {&url.Error{Op: "Put", URL: "http://SECRET", Err: dial}, resilient.Refused},
		"DNS":                 {&url.Error{Err: &net.DNSError{Name: "SECRET"}}, resilient.Refused},
		"no leader":           {api.StatusError{Code: 500, Body: "No cluster leader"}, resilient.Refused},
		"no leader, remote":   {api.StatusError{Code: 500, Body: "rpc error making call: No cluster leader"}, resilient.Refused},
		"leader unknown":      {api.StatusError{Code: 500, Body: "Raft leader not found in server lookup mapping"}, resilient.Refused},
		"not the leader":      {api.StatusError{Code: 500, Body: "raft apply failed: node is not the leader"}, resilient.Refused},
		"raft queue":          {api.StatusError{Code: 500, Body: "raft apply failed: timed out enqueuing operation"}, resilient.Refused},
		"no client":           {api.StatusError{Code: 500, Body: "rpc error getting client: failed to get conn: dial tcp"}, resilient.Refused},
		"no servers":          {api.StatusError{Code: 500, Body: "No known Consul servers"}, resilient.Refused},
		"no consistent read":  {api.StatusError{Code: 500, Body: "Not ready to serve consistent reads"}, resilient.Refused},
		"rate, leader":        {api.StatusError{Code: 503, Body: "rate limit exceeded for operation that can only be performed by the leader"}, resilient.Refused},
		"blocked":             {api.StatusError{Code: 403, Body: "Endpoint is blocked by agent configuration"}, resilient.Refused},
		"restricted":          {api.StatusError{Code: 403, Body: "Access is restricted"}, resilient.Refused},
		"path traversal":      {api.StatusError{Code: 500, Body: "invalid key name, path traversal is not allowed"}, resilient.Invalid},
		"rolled back":         {api.StatusError{Code: 409, Body: "lock delay"}, resilient.Conflict},
		"leadership lost":     {api.StatusError{Code: 500, Body: "raft apply failed: leadership lost while committing log"}, resilient.Failed},
		"rpc EOF":             {api.StatusError{Code: 500, Body: "rpc error making call: EOF"}, resilient.Failed},
		"raft shut down":      {api.StatusError{Code: 500, Body: "raft apply failed: raft is already shutdown"}, resilient.Failed},
		"i/o deadline":        {api.StatusError{Code: 500, Body: "rpc error making call: i/o deadline reached"}, resilient.Failed},
		"read txn, no leader": {errors.New("Failed request: No cluster leader"), resilient.Refused},
		"read txn, unknown":   {errors.New("Failed request: SECRET"), resilient.Failed},
		"read txn, forbidden": {errors.New("Failed request: Permission denied: SECRET"), resilient.Invalid},
	} {
		f := newFault(c.err)
		require.Equal(t, c.class, f.class, name)
		require.Equal(t, c.class, kv.Classify(f.explain(t.Context(), true)), name)
		require.Equal(t, c.class, kv.Classify(c.err), name)
		require.NotContains(t, f.Error(), "SECRET", name)
		require.ErrorIs(t, f, c.err, name)
	}
	require.Equal(t, resilient.OK, kv.Classify(nil))
	require.Equal(t, resilient.OK, kv.Classify(errors.New("unknown")))
	for _, err := range []error{io.EOF, context.Canceled, resilient.ErrTimeout, x509.UnknownAuthorityError{}, errors.New("SECRET"),
		&tls.CertificateVerificationError{Err: errors.New("SECRET")}, &redirected{errors.New("SECRET")}, &http.MaxBytesError{Limit: 7}} {
		f := newFault(&url.Error{Op: "Get", URL: "http://SECRET", Err: err})
		require.NotEmpty(t, f.Error())
		require.NotContains(t, f.Error(), "SECRET")
	}
}
