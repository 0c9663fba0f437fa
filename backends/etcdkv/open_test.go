package etcdkv

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestS32_InvalidArgumentsAreErrorsThatNameTheField(t *testing.T) {
	_, err := Open(nil, Config{})
	require.ErrorContains(t, err, "no endpoint")
	_, err = New(nil, Config{})
	require.ErrorContains(t, err, "nil")
	_, err = New(clientv3.NewCtxClient(t.Context()), Config{})
	require.ErrorContains(t, err, "no connection")

	_, err = Open([]string{"localhost"}, Config{Namespace: "a/b", DialTimeout: -1, MaxValue: -1, Username: "root"})
	for _, field := range []string{"Namespace", "DialTimeout", "MaxValue", "Password", "endpoint 1 of 1"} {
		require.ErrorContains(t, err, field)
	}
}

func TestS1_OnlyPlainNamesAreNamespaces(t *testing.T) {
	for _, name := range []string{
		"a/b", "/", "a/", "../x", "a b", "a*", "é", "a\x00", "a\n", "'; DROP TABLE x; --", "\xff", strings.Repeat("n", 64),
	} {
		_, err := Open([]string{"localhost:1"}, Config{Namespace: name})
		require.ErrorContains(t, err, "Config.Namespace", "%q", name)
		require.NotContains(t, err.Error(), name)
	}
	kv, err := Open([]string{"localhost:1"}, Config{Namespace: strings.Repeat("aZ_-.09", 9)})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
}

func TestS9_EndpointsAreCheckedAndNotPrinted(t *testing.T) {
	for _, c := range []struct {
		endpoints []string
		fault     string // "" = none
	}{
		{[]string{"localhost:1"}, ""},
		{[]string{"http://localhost:1", "http://[::1]:2/"}, ""},
		{[]string{"https://localhost:1"}, ""},
		{[]string{"http://root:" + secret + "@localhost:1"}, "has a user"},
		{[]string{"root:" + secret + "@localhost:1"}, "has a user"},
		{[]string{"http://localhost:1/" + secret}, "more than a scheme"},
		{[]string{"http://localhost:1?password=" + secret}, "more than a scheme"},
		{[]string{"http://localhost:1%zz" + secret}, "is not host:port"},
		{[]string{"localhost:1", secret}, "endpoint 2 of 2 is not host:port"},
		{[]string{"http://" + secret + ":1:1"}, "is not host:port"},
		{[]string{""}, "is not host:port"},
		{[]string{"http://:1"}, "is not host:port"},
		{[]string{"unix://localhost:1"}, "neither http nor https"},
		{[]string{"https://localhost:1", "http://localhost:2"}, "another scheme than the first"},
		{[]string{"http://localhost:1", "localhost:2"}, "another scheme than the first"},
	} {
		kv, err := Open(c.endpoints, Config{})
		if c.fault == "" {
			require.NoError(t, err, c.endpoints)
			require.NoError(t, kv.Close())
			continue
		}
		require.ErrorContains(t, err, c.fault, c.endpoints)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestS8_NothingPrintsThePassword(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	withUsers(t, server)
	cfg := Config{Username: "writer", Password: secret + " which is wrong"}
	kv := open(t, cfg, server)
	for _, o := range operations(kv) {
		err := o.call(ctx)
		require.ErrorIs(t, err, resilient.ErrRefused, "%s: whoever may not come in has changed nothing", o.name)
		require.ErrorContains(t, err, "authentication failed")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %v %+v %#v %v %+v %#v", cfg, cfg, cfg, cfg, cfg, &cfg, &cfg, &cfg, kv, kv, kv)
	asJSON, err := json.Marshal(cfg)
	require.NoError(t, err)
	require.NotContains(t, printed+string(asJSON), secret)
	require.Contains(t, printed, "writer", "the rest is printed")
	require.Contains(t, fmt.Sprint(Config{}), "{")
	require.NotContains(t, fmt.Sprint(Config{}), "hidden")
}

func TestS13_RequireTLSTakesOnlyWhatWillBeVerified(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		tls      *tls.Config
		ok       bool
	}{
		{"https://localhost:1", nil, true},
		{"https://localhost:1", &tls.Config{}, true},
		{"HTTPS://localhost:1", nil, true},
		{"https://localhost:1", &tls.Config{InsecureSkipVerify: true}, false},
		{"http://localhost:1", nil, false},
		{"http://localhost:1", &tls.Config{}, false},
		{"localhost:1", nil, false},
		{"localhost:1", &tls.Config{}, false},
	} {
		kv, err := Open([]string{c.endpoint}, Config{TLS: c.tls, RequireTLS: true})
		if c.ok {
			require.NoError(t, err, c)
			require.NoError(t, kv.Close())
		} else {
			require.Error(t, err, c)
		}
	}
	_, err := Open([]string{"http://localhost:1"}, Config{TLS: &tls.Config{}})
	require.ErrorContains(t, err, "would not be used", "a TLS config is not dropped in silence")

	_, err = Open([]string{"https://localhost:1"}, Config{TLS: &tls.Config{ServerName: "elsewhere"}})
	require.ErrorContains(t, err, "ServerName", "nor is a part of it")

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://localhost:1"}})
	require.NoError(t, err)
	defer client.Close()
	_, err = New(client, Config{RequireTLS: true})
	require.ErrorContains(t, err, "RequireTLS")
}
