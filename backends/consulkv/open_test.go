package consulkv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestS32_WhatCannotWorkIsRefusedAtOnceAndWhole(t *testing.T) {
	_, err := Open("127.0.0.1:8500", Config{
		Namespace: "a/b", Token: "line\nbreak-SECRET", DialTimeout: -1, PoolSize: -1, MaxValue: 16<<20 + 1,
	})
	for _, field := range []string{"Namespace", "Token", "DialTimeout", "PoolSize", "MaxValue"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	require.NotContains(t, err.Error(), "SECRET")
	_, err = New(nil, Config{})
	require.Error(t, err)
}

func TestS1_OnlyPlainFoldersAreNamespaces(t *testing.T) {
	for _, name := range []string{
		".", "..", "../acl", "a/", "/a", "a//b", "a b", "a%2f", "a?b", "a#b", "~", "a~", "é", "a\n", "*", "'; --", strings.Repeat("a", 129),
	} {
		_, err := Open("127.0.0.1:8500", Config{Namespace: name})
		require.ErrorContains(t, err, "Namespace", "%q", name)
	}
	for _, name := range []string{"a", "A-1_b.c", strings.Repeat("a", 128)} {
		require.NoError(t, open(t, "127.0.0.1:8500", Config{Namespace: name}).Close())
	}
}

func TestS9_AnAddressIsHostAndPortAndIsNeverShown(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8500":         "http 127.0.0.1:8500",
		"[::1]:8500":             "http [::1]:8500",
		"consul.service:8500":    "http consul.service:8500",
		"http://127.0.0.1:8500":  "http 127.0.0.1:8500",
		"https://127.0.0.1:443/": "https 127.0.0.1:443",
	} {
		scheme, host, err := address(addr, Config{})
		require.NoError(t, err)
		require.Equal(t, want, scheme+" "+host)
	}
	for _, addr := range []string{
		"", "SECRET", ":8500", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:http",
		"http://user:SECRET@127.0.0.1:8500", "user:SECRET@127.0.0.1:8500", "unix:///SECRET", "ftp://SECRET:21", "http://SECRET:8500/path",
		"http://SECRET:8500?token=SECRET", "SECRET\n:8500", "http://http://SECRET:8500", "%zz:SECRET",
	} {
		_, err := Open(addr, Config{})
		require.EqualError(t, err, errAddress.Error(), "%q", addr)
	}
}

func TestS13_RequireTLSAllowsNothingElse(t *testing.T) {
	for _, c := range []struct {
		addr string
		tls  *tls.Config
		want error
	}{
		{"127.0.0.1:8501", nil, errNoTLS},
		{"http://127.0.0.1:8501", nil, errNoTLS},
		{"http://127.0.0.1:8501", &tls.Config{}, errNoTLS},
		{"https://127.0.0.1:8501", &tls.Config{InsecureSkipVerify: true}, errNoProof},
		{"https://127.0.0.1:8501", nil, nil},
		{"127.0.0.1:8501", &tls.Config{}, nil},
	} {
		_, err := Open(c.addr, Config{TLS: c.tls, RequireTLS: true})
		require.ErrorIs(t, err, c.want)
	}
	_, err := Open("http://127.0.0.1:8501", Config{TLS: &tls.Config{}})
	require.ErrorIs(t, err, errPlain)
	client, err := api.NewClient(&api.Config{Address: "https://127.0.0.1:8501"})
	require.NoError(t, err)
	_, err = New(client, Config{RequireTLS: true})
	require.ErrorContains(t, err, "RequireTLS")
}

func TestS14_TLSVerifiesTheServer(t *testing.T) {
	proxy := record(t, servertest.Consul(t).Addr())
	secure := httptest.NewUnstartedServer(proxy.Config.Handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of refused handshakes
	secure.StartTLS()
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	settings := &tls.Config{RootCAs: roots}

	kv := open(t, secure.Listener.Addr().String(), Config{TLS: settings, RequireTLS: true})
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
	require.NoError(t, kv.Health(t.Context()))

	unknown := open(t, secure.URL, Config{RequireTLS: true})
	err = unknown.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "certificate cannot be verified")
	plain := open(t, "https://"+proxy.addr(), Config{})
	require.ErrorIs(t, plain.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
}

func TestS14_AServerThatSpeaksOnlyOldTLSIsRefused(t *testing.T) {
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	roots := x509.NewCertPool()
	roots.AddCert(old.Certificate())
	kv := open(t, old.URL, Config{TLS: &tls.Config{RootCAs: roots}, RequireTLS: true})
	err := kv.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "protocol version")
}

func TestS14_NothingIsReadFromTheEnvironment(t *testing.T) {
	for _, name := range []string{
		api.HTTPAddrEnvName, api.HTTPTokenEnvName, api.HTTPTokenFileEnvName, api.HTTPAuthEnvName, api.HTTPCAFile, api.HTTPCAPath,
		api.HTTPClientCert, api.HTTPClientKey, api.HTTPTLSServerName, api.HTTPNamespaceEnvName, api.HTTPPartitionEnvName,
	} {
		t.Setenv(name, "from:environment")
	}
	t.Setenv(api.HTTPSSLEnvName, "true")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	proxy := record(t, servertest.Consul(t).Addr())
	for _, token := range []string{"", "from:environment", "token"} {
		kv := open(t, proxy.addr(), Config{Token: token})
		for _, o := range operations(kv, "key", nil) {
			_ = o.run(t.Context()) // the server knows no token
		}
		requests, _ := proxy.take()
		require.NotEmpty(t, requests)
		for _, req := range requests {
			require.Equal(t, token, req.Header.Get(tokenHeader))
			require.Empty(t, req.Header.Get("Authorization"))
			require.NotContains(t, req.RequestURI, "environment")
			require.NotContains(t, req.RequestURI, "ns=")
		}
	}
	kv := open(t, proxy.addr(), Config{})
	require.NoError(t, kv.Health(t.Context()))
}

func TestS8_ATokenIsNeverShown(t *testing.T) {
	const secret = "SECRET-token"
	cfg := Config{Token: secret, TLS: &tls.Config{ServerName: secret}}
	kv := open(t, "127.0.0.1:1", cfg)
	errs := []any{cfg, &cfg, kv}
	for _, o := range operations(kv, "key-SECRET", []byte("value-SECRET")) {
		errs = append(errs, o.run(t.Context()))
	}
	for _, v := range errs {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			require.NotContains(t, fmt.Sprintf(verb, v), "SECRET", verb)
			require.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", "SECRET"), verb)
		}
	}
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	require.NotContains(t, string(text), "SECRET")
	require.Contains(t, fmt.Sprint(kv), "holdfast")
}

func TestABorrowedClientStaysOpenAndIsUsedAsItIs(t *testing.T) {
	server := servertest.ConsulWithACL(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := api.NewClient(&api.Config{Address: server.Addr(), Token: servertest.ConsulToken, HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	kv, err := New(client, Config{Namespace: "borrowed"})
	require.NoError(t, err)
	for _, o := range operations(kv, "key", []byte("value")) {
		if err := o.run(t.Context()); err != nil {
			require.ErrorIs(t, err, resilient.ErrNotFound)
		}
	}
	other, err := New(client, Config{Token: "wrong"})
	require.NoError(t, err)
	require.ErrorIs(t, other.Health(t.Context()), resilient.ErrRefused, "Config.Token stands in for the client's")
	require.NoError(t, other.Close())
	require.NoError(t, kv.Close())
	_, _, err = client.KV().Get("borrowed/key", nil)
	require.NoError(t, err)

	client.AddHeader("Idempotency-Key", "1")
	_, err = New(client, Config{})
	require.ErrorContains(t, err, "Idempotency-Key")
}

func TestABorrowedClientIsLeftInTimeAndEndedByClose(t *testing.T) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client, err := api.NewClient(&api.Config{Address: silent(t), HttpClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	kv, err := New(client, Config{})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for _, o := range operations(kv, "key", nil) {
		require.ErrorIs(t, ends(t, o, ctx), context.DeadlineExceeded)
	}
	done := make(chan error, 1)
	go func() { done <- kv.SetRaw(t.Context(), "key", nil) }()
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, kv.Close())
	require.ErrorIs(t, <-done, resilient.ErrClosed)
}

func TestS23_AnAnswerThatIsTooLongIsCutOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "5")
		w.Header().Set(policyHeader, "allow")
		_, _ = io.WriteString(w, `["holdfast/`)
		part := strings.Repeat("a", 1<<20)
		for {
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	kv := open(t, s.Listener.Addr().String(), Config{Timeout: patience})
	require.EqualValues(t, maxAnswer, kv.pool.limit)
	kv.pool.limit = 4 << 20 // the decoder is slow under the race detector
	_, err := kv.List(t.Context(), "")
	require.ErrorContains(t, err, "more than 4194304 bytes")
	require.Equal(t, resilient.Invalid, kv.Classify(err), "another try would end alike")
}
