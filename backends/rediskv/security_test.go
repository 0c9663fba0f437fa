package rediskv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

const canaryPassword = "SECRET-canary-42"

func mkdir(s *servertest.Server, name string) error {
	return os.MkdirAll(filepath.Join(s.Dir(), name), 0o700)
}

// discreet fails if any way to print v shows the password.
func discreet(t *testing.T, v any) {
	t.Helper()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, v), "SECRET", format)
	}
	for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestS9_NoErrorShowsThePasswordOfAURL(t *testing.T) {
	for _, url := range []string{
		"redis://user:" + canaryPassword + "@host:port/0",
		"redis://user:" + canaryPassword + "@host:6379/0/1",
		"redis://user:" + canaryPassword + "@host:6379/notanumber",
		"redis://user:" + canaryPassword + "@host:6379/?password=" + canaryPassword,
		"redis://user:" + canaryPassword + "@host:6379/?db=" + canaryPassword,
		"redis://user:" + canaryPassword + "@host:6379/?" + canaryPassword + "=1",
		"redis://user:" + canaryPassword + "%zz@host:6379",
		"redis://user:" + canaryPassword + "@[::1/0",
		canaryPassword + "://host:6379",
		"://" + canaryPassword,
		canaryPassword,
		" ",
		"",
		"unix://user:" + canaryPassword + "@",
	} {
		kv, err := Open(url, Config{})
		require.Error(t, err, url)
		require.Nil(t, kv)
		discreet(t, err)
	}
	for _, url := range []string{
		"redis://user:" + canaryPassword + "@127.0.0.1:1/0",
		"rediss://user:" + canaryPassword + "@127.0.0.1:1/0",
		"unix://user:" + canaryPassword + "@/nowhere",
	} {
		kv, err := Open(url, Config{})
		require.NoError(t, err)
		discreet(t, kv)
		discreet(t, kv.cfg)
		for _, o := range operations {
			err := o.run(t.Context(), kv)
			require.ErrorIs(t, err, resilient.ErrRefused)
			discreet(t, err)
		}
		require.NoError(t, kv.Close())
		discreet(t, kv)
	}
}

func TestS11_NoErrorShowsWhatTheServerOrTheDriverRepeats(t *testing.T) {
	s := servertest.Redis(t)
	client := bare(t, s)
	for _, err := range []error{
		client.Do(t.Context(), "SETT", "SECRET-key", "SECRET-value").Err(),
		client.Do(t.Context(), "EVAL", "return redis.error_reply('SECRETKEY is wrong')", 0).Err(),
		client.Do(t.Context(), "EVAL", "return redis.error_reply('secret SECRET')", 0).Err(),
		redis.NewCmd(t.Context()).Err(),
		errors.New(`redis: can't parse "SECRET-value"`),
		fmt.Errorf("hook: %w", errors.New("SECRET-value")),
		&resilient.PanicError{Value: "SECRET"},
	} {
		if err == nil {
			continue
		}
		j := judge(err)
		require.ErrorIs(t, j, err)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", j, j, j), "SECRET-")
		require.NotContains(t, j.Error(), "is wrong")
	}
}

func TestS11_AServerThatTalksNonsenseIsNotQuoted(t *testing.T) {
	addr := babbler(t, "SECRET-value of somebody\r\n")
	kv, err := Open("redis://"+addr, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	for _, o := range operations {
		err := o.run(t.Context(), kv)
		require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
		discreet(t, err)
	}
}

func TestS1_NamespacesThatAnythingCouldMisreadAreRefused(t *testing.T) {
	for _, ns := range []string{"a:b", "a*", "a?", "[a]", `a\`, "{a}", "a b", "a\n", "\x00", "é", "a\r\nDEL x", strings.Repeat("n", 65)} {
		_, err := Open("redis://127.0.0.1:1", Config{Namespace: ns})
		require.ErrorContains(t, err, "Namespace", "%q", ns)
		require.NotContains(t, err.Error(), "\n")
	}
	for _, ns := range []string{"", "a", "a.b_c-D9", strings.Repeat("n", 64)} {
		kv, err := Open("redis://127.0.0.1:1", Config{Namespace: ns})
		require.NoError(t, err)
		require.NoError(t, kv.Close())
	}
}

func TestS32_EveryFaultOfAConfigIsReportedAtOnce(t *testing.T) {
	_, err := Open("redis://127.0.0.1:1", Config{Namespace: "*", DialTimeout: -1, PoolSize: -1, MaxValue: 513 << 20})
	for _, field := range []string{"Namespace", "DialTimeout", "PoolSize", "MaxValue"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	_, err = Open("redis://127.0.0.1:1", Config{MaxValue: -1})
	require.ErrorContains(t, err, "MaxValue")
}

func TestS13_RequireTLSFailsTheConstructorUnlessItIsCertain(t *testing.T) {
	for url, words := range map[string]string{
		"redis://127.0.0.1:1":                    "rediss://",
		"unix:///nowhere":                        "rediss://",
		"rediss://127.0.0.1:1/?skip_verify=true": "skip_verify",
	} {
		_, err := Open(url, Config{RequireTLS: true})
		require.ErrorContains(t, err, words)
	}
	kv, err := Open("rediss://127.0.0.1:1", Config{RequireTLS: true})
	require.NoError(t, err)
	require.NoError(t, kv.Close())

	plain := redis.NewClient(&redis.Options{MaxRetries: -1})
	defer plain.Close()
	unverified := redis.NewClusterClient(&redis.ClusterOptions{MaxRetries: -1, TLSConfig: &tls.Config{InsecureSkipVerify: true}})
	defer unverified.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{MaxRetries: -1, TLSConfig: &tls.Config{}})
	defer cluster.Close()
	certain := redis.NewClient(&redis.Options{MaxRetries: -1, TLSConfig: &tls.Config{}})
	defer certain.Close()
	_, err = New(plain, Config{RequireTLS: true})
	require.ErrorContains(t, err, "TLSConfig")
	_, err = New(unverified, Config{RequireTLS: true})
	require.ErrorContains(t, err, "InsecureSkipVerify")
	for _, client := range []redis.UniversalClient{certain, cluster} {
		kv, err = New(client, Config{RequireTLS: true})
		require.NoError(t, err)
		require.NoError(t, kv.Close())
	}
}

// TestRegression_RequireTLSBelievedATLSConfigThatNobodyUses: go-redis leaves TLS
// to a Dialer of the client's owner, and to whoever makes a cluster's clients.
func TestRegression_RequireTLSBelievedATLSConfigThatNobodyUses(t *testing.T) {
	s := servertest.Redis(t)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr())
	}
	secure := &tls.Config{ServerName: "somewhere"}
	dialer := redis.NewClient(&redis.Options{MaxRetries: -1, TLSConfig: secure, Dialer: dial})
	require.NoError(t, dialer.Ping(t.Context()).Err(), "in the clear")
	for name, client := range map[string]redis.UniversalClient{
		"dialer":         dialer,
		"cluster dialer": redis.NewClusterClient(&redis.ClusterOptions{MaxRetries: -1, TLSConfig: secure, Dialer: dial}),
		"cluster's clients": redis.NewClusterClient(&redis.ClusterOptions{MaxRetries: -1, TLSConfig: secure, NewClient: func(o *redis.Options) *redis.Client {
			o.Dialer = dial
			return redis.NewClient(o)
		}}),
		"sentinel": redis.NewFailoverClient(&redis.FailoverOptions{MaxRetries: -1, TLSConfig: secure, Dialer: dial}),
	} {
		_, err := New(client, Config{RequireTLS: true})
		require.ErrorContains(t, err, "RequireTLS", name)
		require.NoError(t, client.Close())
	}
}

func TestS14_AStoreSpeaksTLS(t *testing.T) {
	s, pool := servertest.RedisTLS(t)
	opts, err := options("rediss://"+s.Addr(), Config{RequireTLS: true, PoolSize: 8}.withDefaults())
	require.NoError(t, err)
	opts.TLSConfig.RootCAs = pool
	kv := connected(opts, Config{Timeout: 200 * time.Millisecond}.withDefaults())
	serves(t, kv)
	s.Freeze()
	for _, o := range operations {
		err := punctual(t, o, t.Context(), kv, 200*time.Millisecond)
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	began := time.Now()
	require.NoError(t, kv.Close())
	require.Less(t, time.Since(began), tooLate, "no goodbye to a frozen server")
	s.Wake()

	stranger, err := Open("rediss://"+s.Addr(), Config{DialTimeout: patience, Timeout: patience})
	require.NoError(t, err)
	defer func() { require.NoError(t, stranger.Close()) }()
	err = stranger.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, resilient.ErrRefused, "a server without a known certificate gets nothing")
	require.ErrorContains(t, err, "certificate")

	plain, err := Open("redis://"+s.Addr(), Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	require.ErrorIs(t, plain.SetRaw(t.Context(), "key", nil), resilient.ErrUnavailable)
}

func TestClientsThatWouldBreakThePromisesAreRefused(t *testing.T) {
	_, err := New(nil, Config{})
	require.ErrorContains(t, err, "nil")
	_, err = New((*redis.Client)(nil), Config{})
	require.ErrorContains(t, err, "nil")
	for words, o := range map[string]*redis.Options{
		"MaxRetries to -1":      {},
		"ContextTimeoutEnabled": {MaxRetries: -1, ReadTimeout: -1},
		"WriteTimeout":          {MaxRetries: -1, ContextTimeoutEnabled: true, WriteTimeout: -2},
		"ClientSideCache":       {MaxRetries: -1, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}},
	} {
		c := redis.NewClient(o)
		_, err := New(c, Config{})
		require.ErrorContains(t, err, words)
		require.NoError(t, c.Close())
	}
	for words, o := range map[string]*redis.ClusterOptions{
		"MaxRetries to -1": {MaxRetries: 1},
		"from replicas":    {MaxRetries: -1, RouteByLatency: true},
	} {
		c := redis.NewClusterClient(o)
		_, err := New(c, Config{})
		require.ErrorContains(t, err, words)
		require.NoError(t, c.Close())
	}
	ring := redis.NewRing(&redis.RingOptions{MaxRetries: -1})
	defer ring.Close()
	_, err = New(ring, Config{})
	require.ErrorContains(t, err, "Ring")
}

func TestS3_ListTakesNoPartOfAKeyForAPattern(t *testing.T) {
	s := servertest.Redis(t, "--appendfsync", "no")
	kv := open(t, s, Config{Namespace: "a.b"})
	other := open(t, s, Config{Namespace: "axb"})
	keys := []string{"*", "**", "?", "[a]", "a", `\`, `\*`, "]", "[", "^", "-", "A", "á", "a "}
	for _, key := range keys {
		require.NoError(t, kv.SetRaw(t.Context(), key, nil))
		require.NoError(t, other.SetRaw(t.Context(), key+"other", nil))
	}
	for _, key := range keys {
		found, err := kv.List(t.Context(), key)
		require.NoError(t, err)
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, key) {
				want = append(want, k)
			}
		}
		require.ElementsMatch(t, want, found, key)
	}
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	s := servertest.Redis(t)
	kv := open(t, s, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	for _, key := range []string{"line\nfeed", "\xff", ""} {
		require.NoError(t, bare(t, s).Set(t.Context(), kv.prefix+key, "v", 0).Err())
	}
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	for prefix, want := range map[string][]string{"k": {"key"}, "line": {}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys)
	}
}

// TestS7_ValuesThatLookLikeCommandsAreValues: each command is a list of
// arguments, none of which the server reads as anything else.
func TestS7_ValuesThatLookLikeCommandsAreValues(t *testing.T) {
	s := servertest.Redis(t, "--appendfsync", "no")
	kv := open(t, s, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "kept", []byte("kept")))
	for key, value := range map[string]string{
		"a":                 "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
		"FLUSHALL":          "x\r\nFLUSHALL\r\n",
		"*1 $8 FLUSHALL":    "*1\r\n$8\r\nFLUSHALL\r\n",
		"return redis.call": "return redis.call('FLUSHALL')",
		"EX":                "NX",
		"$-1":               "$-1\r\n",
	} {
		require.NoError(t, kv.SetRaw(t.Context(), key, []byte(value)))
		require.NoError(t, kv.BatchSetRaw(t.Context(), map[string][]byte{key: []byte(value), key + "2": []byte(value)}))
		got, err := kv.BatchGetRaw(t.Context(), []string{key, key + "2", "kept"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{key: []byte(value), key + "2": []byte(value), "kept": []byte("kept")}, got)
	}
	stats, err := bare(t, s).InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	require.Contains(t, stats["Commandstats"], "cmdstat_set")
	for command := range stats["Commandstats"] {
		for _, script := range []string{"eval", "fcall", "script", "function", "flush"} {
			require.NotContains(t, command, script)
		}
	}
}

// TestS11_NoCommandOfTheDriverIsPrinted: its String has the key and the value.
func TestS11_NoCommandOfTheDriverIsPrinted(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotRegexp(t, `(?i)\b(cmds?|commands?)(\[[^\]]*\])?\.(String|FullName|Args)\(|%[+#]?[vsq][^\n]*,[^\n]*\b(cmds?|commands?)\b[^.]`, string(source), file)
	}
}

// telling is a hook that puts the command into the errors of its client.
type telling struct{}

func (telling) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (telling) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil {
			cmd.SetErr(fmt.Errorf("%s: %w", cmd, err))
		}
		return cmd.Err()
	}
}

func (telling) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				cmd.SetErr(fmt.Errorf("%s: %w", cmd, cmd.Err()))
			}
		}
		return err
	}
}

func TestRegression_AnErrorHeldTheCommandThatAHookHadPutIntoIt(t *testing.T) {
	const key, value = "KEY-of-a-customer", "VALUE-of-a-customer"
	closing := answering(t, func(net.Conn, string) bool { return false })
	for name, addr := range map[string]string{"nobody there": "127.0.0.1:1", "closed": closing} {
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
		client.AddHook(telling{})
		kv, err := New(client, Config{})
		require.NoError(t, err)
		_, get := kv.GetRaw(t.Context(), key)
		for _, err := range []error{
			get, kv.SetRaw(t.Context(), key, []byte(value)), kv.BatchSetRaw(t.Context(), map[string][]byte{key: []byte(value)}),
		} {
			require.ErrorIs(t, err, resilient.ErrUnavailable, name)
			require.NotContains(t, err.Error(), key, name)
			require.NotContains(t, err.Error(), value, name)
		}
		require.NoError(t, kv.Close())
		require.NoError(t, client.Close())
	}
}
