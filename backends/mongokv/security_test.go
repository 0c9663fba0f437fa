package mongokv

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

const canary = "SECRET-canary"

// requireSilent fails if anything that v can be printed as holds the canary.
func requireSilent(t *testing.T, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, v), "SECRET", verb)
	}
}

func TestS9_NoErrorOfAURIHoldsIt(t *testing.T) {
	for _, uri := range []string{
		"", "SECRET-canary", "mongodb://SECRET-canary", "mongodb://u:SECRET-canary@/", "mongodb://u:SECRET-canary@h:port/",
		"mongodb://u:SECRET@canary@h/", "mongodb://u:SECRET%zz@h/", "mongodb://u:SECRET/canary@h/", "mongodb://u:SECRET:canary@h/",
		"mongodb://u:SECRET-canary@h/?connectTimeoutMS=SECRET", "mongodb://u:SECRET-canary@h/?authMechanism=SECRET",
		"mongodb://u:SECRET-canary@h/?w=-1", "mongodb://u:SECRET-canary@h/SECRET.db", "mongodb://u:SECRET-canary@h/?tlsCAFile=SECRET",
		"mongodb://u:SECRET-canary@h/?minPoolSize=200&maxPoolSize=100", "mongodb://u:SECRET-canary@h/?directConnection=SECRET",
		"postgres://u:SECRET-canary@h/", "mongodb+srv://u:SECRET-canary@a.b.invalid:1/", "\x7fmongodb://u:SECRET-canary@h/",
	} {
		kv, err := Open(uri, Config{})
		if err == nil { // the driver takes it for a host of that name
			requireSilent(t, kv)
			err = kv.Health(t.Context())
			require.NoError(t, kv.Close())
		}
		require.Error(t, err, uri)
		require.True(t, strings.HasPrefix(err.Error(), "mongokv: "), err)
		requireSilent(t, err)
	}
}

func TestS8_NoErrorHoldsAPasswordAKeyOrAValue(t *testing.T) {
	s := servertest.FerretDB(t)
	kv := open(t, "mongodb://u:"+canary+"@"+s.Addr()+"/", small(Config{DialTimeout: 200 * time.Millisecond}))
	plain := open(t, servertest.FerretDBURI(s), small(Config{DialTimeout: 200 * time.Millisecond, MaxValue: 20}))
	requireSilent(t, kv)
	requireSilent(t, kv.cfg)
	check := func() {
		for _, o := range operations {
			err := o.call(t.Context(), kv)
			require.Error(t, err, o.name)
			requireSilent(t, err)
		}
		requireSilent(t, plain.SetRaw(t.Context(), canary, []byte(canary)))
		requireSilent(t, plain.SetRaw(t.Context(), canary, []byte(canary+canary)))
		requireSilent(t, plain.Delete(t.Context(), canary+"\n"))
		requireSilent(t, plain.BatchSetRaw(t.Context(), map[string][]byte{canary: []byte(canary)}))
	}
	check()
	s.Kill()
	check()
}

func TestS1_NamesThatAreNotPlainAreRefused(t *testing.T) {
	for _, bad := range []string{
		"a.b", "system.users", "$cmd", "a b", "a/b", `a\b`, "a\x00b", "é", "1a", "-a", "a$b", "a*", `a"b`, strings.Repeat("a", 64), " ", "..",
	} {
		_, err := Open("mongodb://127.0.0.1:1/", Config{Namespace: bad})
		require.ErrorContains(t, err, "Config.Namespace", bad)
		_, err = Open("mongodb://127.0.0.1:1/", Config{Database: bad})
		require.ErrorContains(t, err, "Config.Database", bad)
	}
	for _, good := range []string{"a", "_", "A-b_9", strings.Repeat("a", 63)} {
		kv := open(t, "mongodb://127.0.0.1:1/", Config{Namespace: good, Database: good})
		require.Equal(t, good, kv.db.Name())
	}
}

func TestS32_EveryFaultOfAConfigIsReportedAtOnce(t *testing.T) {
	_, err := Open("mongodb://127.0.0.1:1/", Config{Database: "$", Namespace: "$", DialTimeout: -1, PoolSize: -1, BatchKeys: -1, MaxValue: -1})
	for _, field := range []string{"Database", "Namespace", "DialTimeout", "PoolSize", "BatchKeys", "MaxValue"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	_, err = Open("mongodb://127.0.0.1:1/", Config{BatchKeys: largestBatchKeys + 1, MaxValue: largestMaxValue + 1})
	require.ErrorContains(t, err, "Config.BatchKeys")
	require.ErrorContains(t, err, "Config.MaxValue")
	_, err = New(nil, Config{})
	require.ErrorContains(t, err, "nil")
	_, err = New(client(t, "mongodb://127.0.0.1:1/"), Config{Namespace: "$"})
	require.ErrorContains(t, err, "Config.Namespace")
	_, err = Open("mongodb://127.0.0.1:1/?minPoolSize=10", Config{PoolSize: 5})
	require.ErrorContains(t, err, "Config.PoolSize")
}

func TestTheURIAndTheConfigSayHowToConnect(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://h": "holdfast", "mongodb://h/": "holdfast", "mongodb://h/db": "db", "mongodb://h/?w=1": "holdfast",
		"mongodb://u:p%2F%40@h:1,i:2/db?w=1": "db", "mongodb://h/%64b": "db", "mongodb://h/?appName=a/b": "holdfast",
	} {
		opts, database, err := clientOptions(uri, Config{}.withDefaults())
		require.NoError(t, err, uri)
		require.Equal(t, want, database, uri)
		require.False(t, *opts.RetryWrites || *opts.RetryReads)
		require.Zero(t, *opts.MaxAdaptiveRetries)
		require.Equal(t, defaultDialTimeout, *opts.ConnectTimeout)
		require.Equal(t, defaultDialTimeout, *opts.ServerSelectionTimeout)
		require.Equal(t, defaultTimeout, *opts.Timeout)
		require.EqualValues(t, defaultPoolSize, *opts.MaxPoolSize)
	}
	opts, database, err := clientOptions("mongodb://h/db?retryWrites=true&retryReads=true&connectTimeoutMS=7&serverSelectionTimeoutMS=8&maxPoolSize=9&readPreference=nearest",
		Config{Database: "other", Timeout: -1}.withDefaults())
	require.NoError(t, err)
	require.Equal(t, "other", database)
	require.False(t, *opts.RetryWrites || *opts.RetryReads)
	require.Equal(t, 7*time.Millisecond, *opts.ConnectTimeout)
	require.Equal(t, 8*time.Millisecond, *opts.ServerSelectionTimeout)
	require.EqualValues(t, 9, *opts.MaxPoolSize)
	require.Nil(t, opts.Timeout)
	require.Equal(t, "primary", opts.ReadPreference.Mode().String())
	opts, _, err = clientOptions("mongodb://h/?connectTimeoutMS=7&maxPoolSize=9", Config{DialTimeout: time.Minute, PoolSize: 3})
	require.NoError(t, err)
	require.Equal(t, time.Minute, *opts.ConnectTimeout)
	require.EqualValues(t, 3, *opts.MaxPoolSize)
}

func TestS13_RequireTLSTakesNothingThatCouldBePlaintext(t *testing.T) {
	for _, option := range []string{"", "?tls=false", "?ssl=false", "?tls=true&tlsInsecure=true", "?tlsInsecure=true", "?ssl=true&sslInsecure=true"} {
		_, err := Open("mongodb://127.0.0.1:1/"+option, Config{RequireTLS: true})
		require.ErrorContains(t, err, "Config.RequireTLS", option)
	}
	_, err := New(client(t, "mongodb://127.0.0.1:1/?tls=true"), Config{RequireTLS: true})
	require.ErrorContains(t, err, "Config.RequireTLS")

	cert, key, ca := certificate(t)
	s := servertest.FerretDB(t, "-cert", cert, "-key", key)
	kv := open(t, servertest.FerretDBURI(s)+"?tls=true&tlsCAFile="+ca, small(Config{RequireTLS: true}))
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
	require.NoError(t, kv.Health(t.Context()))

	kv = open(t, servertest.FerretDBURI(s)+"?tls=true", small(Config{RequireTLS: true}))
	err = kv.SetRaw(t.Context(), "key", nil)
	require.ErrorContains(t, err, "the server's certificate is not trusted")
	require.Error(t, open(t, servertest.FerretDBURI(s), small(Config{})).Health(t.Context()))
}

// certificate returns the files with a certificate for 127.0.0.1, its key, and
// what vouches for it.
func certificate(t *testing.T) (cert, key, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	cert = write("server.crt", "CERTIFICATE", s.Certificate().Raw)
	return cert, write("server.key", "PRIVATE KEY", keyDER), cert
}
