package rediskv

import (
	"errors"
	neturl "net/url"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// options returns what the client of a lane is made from. Its errors hold
// nothing of url: both parsers print the whole of it, with the password.
func options(url string, cfg Config) (*redis.Options, error) {
	if strings.TrimSpace(url) == "" {
		return nil, errors.New("rediskv: the URL is empty")
	}
	u, err := neturl.Parse(url)
	if err != nil {
		return nil, errors.New("rediskv: the URL cannot be parsed; it is not shown because it may hold a password")
	}
	switch u.Scheme {
	case "redis", "rediss", "unix":
	default:
		return nil, errors.New("rediskv: the URL must begin with redis://, rediss:// or unix://")
	}
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("rediskv: redis.ParseURL does not take the URL's database, port or options; its message is not shown because it may hold a password")
	}
	if cfg.RequireTLS {
		switch {
		case opts.TLSConfig == nil:
			return nil, errors.New("rediskv: Config.RequireTLS is set and the URL does not begin with rediss://")
		case opts.TLSConfig.InsecureSkipVerify:
			return nil, errors.New("rediskv: Config.RequireTLS is set and the URL has skip_verify")
		}
	}
	set(opts, cfg)
	return opts, nil
}

// set changes what doc.go says; the reasons are there.
func set(opts *redis.Options, cfg Config) {
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	opts.ReadTimeout, opts.WriteTimeout = -1, -1
	opts.DialTimeout, opts.DialerRetries = cfg.DialTimeout, 1
	opts.PoolTimeout = poolTimeout
	opts.PoolSize, opts.PipelinePoolSize = 1, -1
	opts.MinIdleConns, opts.MaxIdleConns, opts.MaxActiveConns, opts.MaxConcurrentDials = 0, 0, 0, 0
	opts.Protocol = 2
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
