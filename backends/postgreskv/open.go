package postgreskv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

// Open returns a store in the database of url, which is "postgres://..." or
// PostgreSQL's key=value form; several hosts, target_session_attrs and the rest
// of what pgx knows are passed to it, but that any of several hosts is taken for
// the primary of them. What url leaves out comes from the PG... variables of the
// environment. Open connects to nobody and works while the server is down: the
// first call makes the table if it is not there. Close closes the connections.
//
// An error about url does not show it: a password may be anywhere in it.
func Open(url string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	pc, err := poolConfig(url, cfg)
	if err != nil {
		return nil, err
	}
	if err := check(pc.ConnConfig, cfg); err != nil {
		return nil, err
	}
	return start(pc, cfg)
}

// start makes the pool and the store on it.
func start(pc *pgxpool.Config, cfg Config) (*KV, error) {
	l := newLines(cfg.DialTimeout)
	pc.ConnConfig.DialFunc = l.dial
	pc.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		// The connection stands: it is good for more than the time to make it.
		_ = c.Conn().SetDeadline(time.Time{})
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	// The context is for connections that the URL wants to have in reserve.
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, errors.New("postgreskv: pgx cannot make a pool of the URL's settings")
	}
	kv := build(pool, cfg)
	kv.lines = l
	return kv, nil
}

// New returns a store that uses pool, which it borrows: Close ends the store's
// calls and leaves pool open. The time-outs and sizes of pool are its owner's:
// to be in time, it should have what Open sets (see the package's
// documentation). If pool has a BeforeConnect, which may change anything, each
// connection is looked at once more, before its first use. When a call is ended, pgx takes up to 15 s to clean up behind
// it, for which closing pool waits.
func New(pool *pgxpool.Pool, cfg Config) (*KV, error) {
	if pool == nil {
		return nil, errors.New("postgreskv: the pool is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	pc := pool.Config()
	if err := check(pc.ConnConfig, cfg); err != nil {
		return nil, err
	}
	kv := build(pool, cfg)
	kv.hooked = pc.BeforeConnect != nil
	return kv, nil
}

func build(pool *pgxpool.Pool, cfg Config) *KV {
	return &KV{pool: pool, cfg: cfg, sql: newStatements(cfg.table()), gate: guard.NewGate()}
}

// poolConfig reads url and adds what cfg says.
func poolConfig(url string, cfg Config) (*pgxpool.Config, error) {
	if url == "" {
		return nil, errors.New("postgreskv: the URL is empty")
	}
	// pgx's own errors have the URL in them, with the password if that is in an
	// odd place.
	errURL := errors.New("postgreskv: the URL cannot be parsed (it is not shown: it may hold a password)")
	cc, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	switch _, ok := cc.RuntimeParams["pool_max_conns"]; {
	case cfg.PoolSize > 0:
		pc.MaxConns = int32(cfg.PoolSize) //#nosec G115 -- validate allows 2^18
	case !ok:
		pc.MaxConns = defaultPoolSize
	}
	pc.PingTimeout = cfg.DialTimeout
	pc.ConnConfig.ConnectTimeout = cfg.DialTimeout
	if pc.ConnConfig.ValidateConnect == nil && severalHosts(pc.ConnConfig) {
		pc.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	for param, limit := range map[string]time.Duration{
		"statement_timeout":                   cfg.StatementTimeout,
		"idle_in_transaction_session_timeout": cfg.StatementTimeout,
		"lock_timeout":                        cfg.LockTimeout,
	} {
		if _, ok := pc.ConnConfig.RuntimeParams[param]; !ok && limit > 0 && !inOptions(pc.ConnConfig.RuntimeParams["options"], param) {
			pc.ConnConfig.RuntimeParams[param] = strconv.FormatInt(min(max(1, limit.Milliseconds()), math.MaxInt32), 10)
		}
	}
	return pc, nil
}

// severalHosts reports whether connections may be to different servers. pgx has
// a fallback for each way to connect to one, too.
func severalHosts(c *pgx.ConnConfig) bool {
	return slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != c.Host || f.Port != c.Port })
}

// inOptions reports whether options, the server's command line of a session
// ("-c param=value", "--param=value"), sets param: a parameter of the session
// beside it would be the one that counts.
func inOptions(options, param string) bool {
	for word := range strings.FieldsSeq(options) {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-c"), "--"), "=")
		if strings.EqualFold(strings.ReplaceAll(name, "-", "_"), param) {
			return true
		}
	}
	return false
}

var (
	errSimple    = errors.New("default_query_exec_mode is simple_protocol, which makes keys and values part of the SQL")
	errPlaintext = errors.New("Config.RequireTLS is set, and a connection could be plaintext or to an unverified server: set sslmode to verify-full or verify-ca")
)

// check returns why connections that are made from c must not be used.
func check(c *pgx.ConnConfig, cfg Config) error {
	var faults []error
	if c.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		faults = append(faults, fmt.Errorf("postgreskv: %w", errSimple))
	}
	if cfg.RequireTLS {
		secure := verified(c.TLSConfig)
		for _, f := range c.Fallbacks {
			secure = secure && verified(f.TLSConfig)
		}
		if !secure {
			faults = append(faults, fmt.Errorf("postgreskv: %w", errPlaintext))
		}
	}
	return errors.Join(faults...)
}

// verified reports whether a connection with c is encrypted and its server's
// certificate is checked. pgx does sslmode=verify-ca with a check of its own.
func verified(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil)
}
