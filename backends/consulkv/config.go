package consulkv

import (
	"crypto/tls"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultNamespace   = "holdfast"
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = time.Second
	// Consul takes 200 connections from one address
	// (limits.http_max_conns_per_client): six such processes on a machine fit.
	defaultPoolSize = 32
	// Consul's kv_max_value_size unless it is configured otherwise:
	// raft.SuggestedMaxDataSize of hashicorp/raft v1.7.3.
	defaultMaxValue = 512 << 10
	// Consul advises against more than its default; far more than any value that
	// belongs into a raft log, and it fits maxAnswer after base64.
	maxMaxValue = 16 << 20
)

// Config is what Open and New take; the zero Config works. Formatting one with
// package fmt, whatever the verb, leaves Token out.
type Config struct {
	// Namespace is the folder of Consul's key-value store that holds the keys:
	// up to 128 letters, digits, '_', '-' and, but at the beginning, '.';
	// "" = "holdfast". It is what an ACL rule names: key_prefix "holdfast/".
	Namespace string
	// Token is the ACL token of every request; "" = none, which Consul takes for
	// the anonymous one. With New "" = the client's own.
	Token string `json:"-"`
	// TLS is what https connections use; Open copies it. nil = the system's
	// roots. An address without a scheme is an https one if TLS is set. New
	// ignores it.
	TLS *tls.Config `json:"-"`
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, negative = none.
	Timeout time.Duration
	// DialTimeout bounds making a connection, and the TLS handshake after it;
	// 0 = 1s. New ignores it.
	DialTimeout time.Duration
	// PoolSize is the largest number of connections; 0 = 32, so that six
	// processes fit into the 200 that Consul takes from one address. A call for
	// which none is free waits until its ctx ends and is then refused. New
	// ignores it.
	PoolSize int
	// MaxValue is the largest value in bytes; 0 = 512 KiB, Consul's own default
	// of kv_max_value_size, which must be raised first; at most 16 MiB.
	MaxValue int
	// RequireTLS makes Open fail if the connection could be plaintext or the
	// server's certificate is not verified, and New always: a client does not
	// tell what it uses.
	RequireTLS bool
	// Canary makes every Health also write and delete a key of the library's own
	// in one transaction: nobody sees it, but it goes through the raft log to the
	// disks of a majority.
	Canary bool
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultNamespace)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.DialTimeout, defaultDialTimeout)
	guard.Default(&c.PoolSize, defaultPoolSize)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

// folder is what the URL's path, ACL rules and globs take literally, and what
// no other folder is inside of.
var folder = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$`)

// printable is what a header can hold.
var printable = regexp.MustCompile(`^[!-~]*$`)

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("consulkv")
	if !folder.MatchString(c.Namespace) {
		f.Add("Namespace is %q, must be 1 to 128 letters, digits, '_', '-' and '.', and not begin with '.'", c.Namespace)
	}
	if !printable.MatchString(c.Token) {
		f.Add("Token has characters that a header cannot hold")
	}
	f.NotNegative("DialTimeout", c.DialTimeout)
	f.AtMost("PoolSize", c.PoolSize, math.MaxInt32)
	f.AtMost("MaxValue", c.MaxValue, maxMaxValue)
	return f.Err()
}

// Format writes c without its Token and what TLS holds, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Namespace:%q Token set:%t TLS set:%t Timeout:%v DialTimeout:%v PoolSize:%d MaxValue:%d RequireTLS:%t Canary:%t}",
		c.Namespace, c.Token != "", c.TLS != nil, c.Timeout, c.DialTimeout, c.PoolSize, c.MaxValue, c.RequireTLS, c.Canary)
}
