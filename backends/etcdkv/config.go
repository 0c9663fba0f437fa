package etcdkv

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultNamespace   = "holdfast"
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = time.Second
	// A server takes requests of at most 1.5 MiB (--max-request-bytes); that
	// leaves room for the key and for what the protocol adds.
	defaultMaxValue = 1 << 20
	// maxMaxValue is the largest request that etcd lets its operator allow
	// without a warning (embed.recommendedMaxRequestBytes).
	maxMaxValue = 10 << 20
	// maxNamespace leaves the longest key in one line of any tool.
	maxNamespace = 63
)

// Config is what Open and New take; the zero Config works. It prints without
// its password.
type Config struct {
	// Namespace is the beginning of every key, before a slash: letters, digits,
	// '_', '-' and '.', at most 63; "" = "holdfast". No namespace overlaps with
	// another.
	Namespace string
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, negative = none.
	Timeout time.Duration
	// DialTimeout is how long one attempt to connect to one endpoint may take;
	// 0 = 1s. New ignores it.
	DialTimeout time.Duration
	// MaxValue is the largest value in bytes, at most 10 MiB; 0 = 1 MiB. The
	// server's --max-request-bytes, 1.5 MiB by default, must leave room for it:
	// the server refuses what is over that (resilient.ErrValueTooLarge), and of
	// what is more than 512 KiB over, nobody says that it is not applied.
	MaxValue int
	// TLS is how https endpoints, and those without a scheme, are spoken to;
	// it is copied. nil = https endpoints are verified with the system's
	// roots, those without a scheme are spoken to in the clear. New ignores it.
	TLS *tls.Config `json:"-"`
	// Username and Password are those of an etcd user; both or none. New
	// ignores them: the client has its own.
	Username string
	Password string `json:"-"`
	// RequireTLS makes Open fail unless every endpoint is https and its
	// certificate will be verified. New fails: what a client verifies cannot be
	// seen.
	RequireTLS bool
	// Canary makes Health also write a key of the library's own, with a lease
	// of a minute, and delete it; List never shows it.
	Canary bool
}

// Format prints c without the password, whatever the verb.
func (c Config) Format(f fmt.State, verb rune) {
	type config Config // has no methods
	if c.Password != "" {
		c.Password = "(hidden)"
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), config(c))
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultNamespace)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.DialTimeout, defaultDialTimeout)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("etcdkv")
	if len(c.Namespace) > maxNamespace || strings.ContainsFunc(c.Namespace, notInNamespace) {
		f.Add("Namespace must be at most %d letters, digits, '_', '-' and '.'", maxNamespace)
	}
	f.NotNegative("DialTimeout", c.DialTimeout)
	f.AtMost("MaxValue", c.MaxValue, maxMaxValue)
	if (c.Username == "") != (c.Password == "") {
		f.Add("Username and Config.Password must both be set or neither")
	}
	if c.RequireTLS && c.TLS != nil && c.TLS.InsecureSkipVerify {
		f.Add("RequireTLS is set, and Config.TLS verifies nothing")
	}
	if c.TLS != nil && c.TLS.ServerName != "" {
		f.Add("TLS.ServerName is set, and the driver verifies the host of each endpoint")
	}
	return f.Err()
}

// notInNamespace leaves out the slash above all: with it, one namespace could
// be a folder in another.
func notInNamespace(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r)
}

// checkEndpoints reports every fault of the endpoints at once, and prints none
// of them: somebody may have put a password there.
func (c Config) checkEndpoints(endpoints []string) error {
	if len(endpoints) == 0 {
		return errors.New("etcdkv: there is no endpoint")
	}
	var faults []error
	fault := func(i int, text string) {
		faults = append(faults, fmt.Errorf("etcdkv: endpoint %d of %d %s", i+1, len(endpoints), text))
	}
	first := scheme(endpoints[0])
	for i, endpoint := range endpoints {
		text, ok := endpoint, true
		if scheme(endpoint) == "" {
			text = "none://" + endpoint
		}
		u, err := url.Parse(text)
		if err == nil {
			_, _, splitErr := net.SplitHostPort(u.Host)
			ok = splitErr == nil && u.Hostname() != "" && u.Port() != ""
		}
		switch {
		case err != nil || !ok:
			fault(i, "is not host:port, http://host:port or https://host:port")
			continue
		case u.User != nil:
			fault(i, "has a user in it: use Config.Username and Config.Password")
		case u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
			fault(i, "has more than a scheme, a host and a port")
		}
		switch s := scheme(endpoint); {
		case s != "" && s != "http" && s != "https":
			fault(i, "has a scheme that is neither http nor https")
		case s != first:
			// The driver goes by the first one for all of them.
			fault(i, "has another scheme than the first")
		case s == "http" && c.TLS != nil:
			fault(i, "is http and Config.TLS is set: it would not be used")
		case s != "https" && c.RequireTLS:
			fault(i, "is not https, and Config.RequireTLS is set")
		}
	}
	return errors.Join(faults...)
}

// scheme returns what is before "://", "" if there is none.
func scheme(endpoint string) string {
	before, _, ok := strings.Cut(endpoint, "://")
	if !ok {
		return ""
	}
	return strings.ToLower(before)
}
