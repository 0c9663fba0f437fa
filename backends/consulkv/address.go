package consulkv

import (
	"crypto/tls"
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Faults of an address. None shows it: somebody may have put a password in.
var (
	errAddress = errors.New("consulkv: the address is not host:port, http://host:port or https://host:port")
	errPlain   = errors.New("consulkv: Config.TLS is set, and the address is an http one")
	errNoTLS   = errors.New("consulkv: Config.RequireTLS is set, and the address is not an https one")
	errNoProof = errors.New("consulkv: Config.RequireTLS is set, and Config.TLS does not verify the server (InsecureSkipVerify)")
)

// hostname is a name, an IPv4 address or an IPv6 address with or without zone.
var hostname = regexp.MustCompile(`^[A-Za-z0-9_.:%-]+$`)

// address takes addr apart and checks it against cfg.
func address(addr string, cfg Config) (scheme, host string, err error) {
	scheme, host, ok := strings.Cut(addr, "://")
	if !ok {
		scheme, host = "http", addr
		if cfg.TLS != nil {
			scheme = "https"
		}
	}
	name, port, err := net.SplitHostPort(strings.TrimSuffix(host, "/"))
	if err != nil || !hostname.MatchString(name) {
		return "", "", errAddress
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", errAddress
	}
	switch {
	case scheme != "http" && scheme != "https":
		return "", "", errAddress
	case scheme == "http" && cfg.RequireTLS:
		return "", "", errNoTLS
	case scheme == "http" && cfg.TLS != nil:
		return "", "", errPlain
	case cfg.RequireTLS && !verifies(cfg.TLS):
		return "", "", errNoProof
	}
	return scheme, net.JoinHostPort(name, port), nil
}

func verifies(c *tls.Config) bool { return c == nil || !c.InsecureSkipVerify }
