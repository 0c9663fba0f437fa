package consulkv

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// recorder is a proxy that remembers what was asked of the server behind it.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	statuses []int
}

func record(tb testing.TB, addr string) *recorder {
	tb.Helper()
	r := &recorder{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	proxy.ModifyResponse = func(resp *http.Response) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.statuses = append(r.statuses, resp.StatusCode)
		return nil
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, req)
		r.mu.Unlock()
		proxy.ServeHTTP(w, req)
	}))
	tb.Cleanup(r.Close)
	return r
}

func (r *recorder) addr() string { return r.Listener.Addr().String() }

// take returns what was recorded since the last take.
func (r *recorder) take() ([]*http.Request, []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests, statuses := r.requests, r.statuses
	r.requests, r.statuses = nil, nil
	return requests, statuses
}

func TestS4_NoKeyOrPrefixReachesAnythingButTheKeyValueStore(t *testing.T) {
	server := servertest.Consul(t)
	proxy := record(t, server.Addr())
	kv := open(t, proxy.addr(), Config{Canary: true})
	beside := open(t, server.Addr(), Config{Namespace: "beside"})
	require.NoError(t, beside.SetRaw(t.Context(), "a", []byte("untouched")))

	keys := append([]string{"\xff", "\xc3", "a/\xe6\x97", strings.Repeat("日", 170)}, nasty...)
	for _, key := range keys {
		for _, o := range operations(kv, key, []byte("value of "+key)) {
			err := o.run(t.Context())
			if resilient.CheckKey(key) != nil { // a prefix only
				continue
			}
			if !errors.Is(err, resilient.ErrNotFound) {
				require.NoError(t, err, "%s(%q)", o.name, key)
			}
			if o.name == "SetRaw" {
				value, err := kv.GetRaw(t.Context(), key)
				require.NoError(t, err, "%q", key)
				require.Equal(t, "value of "+key, string(value))
				found, err := kv.List(t.Context(), key)
				require.NoError(t, err)
				require.Contains(t, found, key)
			}
		}
		requests, statuses := proxy.take()
		require.NotEmpty(t, requests)
		for _, req := range requests {
			uri, query, _ := strings.Cut(req.RequestURI, "?")
			if req.Method == http.MethodGet {
				require.Contains(t, query, "consistent")
			}
			if uri != "/v1/txn" {
				require.Truef(t, strings.HasPrefix(uri, "/v1/kv/holdfast/"), "%q asks for %s", key, uri)
				survives(t, uri)
			}
		}
		for _, status := range statuses {
			require.True(t, status == http.StatusOK || status == http.StatusNotFound, "%q is answered with %d", key, status)
		}
	}
	found, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, found, "each key was deleted")
	value, err := beside.GetRaw(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "untouched", string(value))
	require.NoError(t, kv.Health(t.Context()), "the agent is still there")
}

func TestHealthLeavesNothingBehind(t *testing.T) {
	server := servertest.Consul(t)
	proxy := record(t, server.Addr())
	kv := open(t, proxy.addr(), Config{})
	canary := open(t, proxy.addr(), Config{Canary: true})
	for range 3 {
		require.NoError(t, kv.Health(t.Context()))
	}
	requests, _ := proxy.take()
	require.Len(t, requests, 3, "one request each")
	_, err := kv.BatchGetRaw(t.Context(), []string{"a"})
	require.NoError(t, err)
	more, _ := proxy.take()
	for _, req := range append(requests, more...) {
		require.Contains(t, req.RequestURI, "consistent")
	}
	require.NoError(t, canary.Health(t.Context()))
	requests, _ = proxy.take()
	require.Len(t, requests, 2, "and one for the canary")

	stored, _, err := kv.client.KV().Keys("", "", nil)
	require.NoError(t, err)
	require.Empty(t, stored, "nothing in all of Consul")

	_, err = kv.client.KV().Put(pair(kv.keys.own(), "somebody's"), nil)
	require.NoError(t, err)
	require.NoError(t, kv.Health(t.Context()), "a key in its place does not matter")
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)
}
