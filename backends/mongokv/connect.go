package mongokv

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// goodbye is how long Close tries to tell the server that the sessions it keeps
// are over. It forgets them by itself after half an hour.
const goodbye = 250 * time.Millisecond

// clientOptions turns uri into the driver's options and the name of the
// database. Its errors hold nothing of uri.
func clientOptions(uri string, cfg Config) (*options.ClientOptions, string, error) {
	if uri == "" {
		return nil, "", errors.New("mongokv: the URI is empty")
	}
	opts := options.Client().ApplyURI(uri)
	if opts.Validate() != nil {
		// The driver's text quotes what it did not understand, and in a URI
		// that is written wrongly that can be the password.
		return nil, "", errors.New("mongokv: the URI is not mongodb://user:password@host:port/database?option=value, " +
			"an option's value is not one that the driver knows, a file that it names cannot be read, or the host of a " +
			"mongodb+srv URI is not in the DNS; user, password and values must be URL-escaped")
	}
	database := cfg.Database
	if database == "" {
		database = databaseOf(uri)
	}
	if database == "" {
		database = defaultName
	}
	if !name.MatchString(database) {
		return nil, "", errors.New("mongokv: the database in the URI is not " + nameRule)
	}
	if cfg.RequireTLS && (opts.TLSConfig == nil || opts.TLSConfig.InsecureSkipVerify) {
		return nil, "", errors.New("mongokv: Config.RequireTLS is set, and the URI does not ask for TLS with a verified certificate (tls=true)")
	}
	// A write that is tried again by the driver comes back with the error of
	// the last try, which says nothing about the first.
	opts.SetRetryWrites(false).SetRetryReads(false).SetMaxAdaptiveRetries(0)
	opts.SetReadPreference(readpref.Primary())
	if cfg.Timeout > 0 {
		opts.SetTimeout(cfg.Timeout)
	}
	dial := func(set *time.Duration) time.Duration {
		switch {
		case cfg.DialTimeout > 0:
			return cfg.DialTimeout
		case set != nil && *set > 0:
			return *set
		}
		return defaultDialTimeout // the driver's own are 30s
	}
	opts.SetConnectTimeout(dial(opts.ConnectTimeout))
	opts.SetServerSelectionTimeout(dial(opts.ServerSelectionTimeout))
	switch {
	case cfg.PoolSize > 0:
		opts.SetMaxPoolSize(uint64(cfg.PoolSize))
	case opts.MaxPoolSize == nil:
		opts.SetMaxPoolSize(defaultPoolSize)
	}
	if opts.Validate() != nil { // a pool that is smaller than the URI's minPoolSize
		return nil, "", errors.New("mongokv: Config.PoolSize is less than the URI's minPoolSize")
	}
	return opts, database, nil
}

// databaseOf returns the name of the database in a URI that the driver has
// understood; "" if it has none. The driver keeps it to itself.
func databaseOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	if _, after, ok := strings.Cut(rest, "@"); ok {
		rest = after
	}
	rest, _, _ = strings.Cut(rest, "?")
	_, database, _ := strings.Cut(rest, "/")
	if unescaped, err := url.PathUnescape(database); err == nil {
		return unescaped
	}
	return database
}

// disconnect closes a client that nobody uses any more.
func disconnect(client *mongo.Client) error {
	// With a deadline the driver would wait for connections in use; without
	// one it closes them. It is the end of the sessions that needs a bound.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer time.AfterFunc(goodbye, cancel).Stop()
	if err := client.Disconnect(ctx); err != nil {
		return hide(err)
	}
	return nil
}
