package backends_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/consulkv"
	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/backends/mongokv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// nobody is where no server is.
const nobody = "127.0.0.1:1"

// absent are stores of all kinds on servers that are not there, opened with a
// password.
var absent = map[string]func(password string) (resilient.KVWithHealth, error){
	"redis": func(p string) (resilient.KVWithHealth, error) {
		return rediskv.Open("redis://:"+p+"@"+nobody, rediskv.Config{})
	},
	"postgres": func(p string) (resilient.KVWithHealth, error) {
		return postgreskv.Open("postgres://user:"+p+"@"+nobody+"/db", postgreskv.Config{})
	},
	"mysql": func(p string) (resilient.KVWithHealth, error) {
		return mysqlkv.Open("user:"+p+"@tcp("+nobody+")/db", mysqlkv.Config{})
	},
	"etcd": func(p string) (resilient.KVWithHealth, error) {
		return etcdkv.Open([]string{nobody}, etcdkv.Config{Username: "user", Password: p})
	},
	"consul": func(p string) (resilient.KVWithHealth, error) {
		return consulkv.Open(nobody, consulkv.Config{Token: p})
	},
	"mongo": func(p string) (resilient.KVWithHealth, error) {
		return mongokv.Open("mongodb://user:"+p+"@"+nobody+"/", mongokv.Config{})
	},
}

// forms are the ways in which a secret is still one.
func forms(secret string) []string {
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), strings.ToUpper(secret),
	}
}

// TestS8_NoWayToPrintAStoreShowsItsPassword: nor one to print what holds it,
// where a method of the store that hides it is not asked.
func TestS8_NoWayToPrintAStoreShowsItsPassword(t *testing.T) {
	const password = "CANARY"
	quiet := resilient.Config{Probe: resilient.Probe{Interval: -1}}
	type holder struct{ kv resilient.KVWithHealth } // of a user, with a field that is not exported
	holders := map[string]func(kv resilient.KVWithHealth) (any, error){
		"alone":    func(kv resilient.KVWithHealth) (any, error) { return kv, nil },
		"Store":    func(kv resilient.KVWithHealth) (any, error) { return resilient.Wrap(resilient.KeepOpen(kv), quiet) },
		"bare":     func(kv resilient.KVWithHealth) (any, error) { return resilient.Wrap(kv, quiet) },
		"group":    func(kv resilient.KVWithHealth) (any, error) { return failover.New(failover.Config{Member: quiet}, kv) },
		"KeepOpen": func(kv resilient.KVWithHealth) (any, error) { return resilient.KeepOpen(kv), nil },
		"NoHealth": func(kv resilient.KVWithHealth) (any, error) { return resilient.NoHealth(kv), nil },
		"Detach":   func(kv resilient.KVWithHealth) (any, error) { return resilient.Detach(kv, 1), nil },
		"Typed":    func(kv resilient.KVWithHealth) (any, error) { return resilient.Of[string](kv, nil), nil },
		"Group":    func(kv resilient.KVWithHealth) (any, error) { return resilient.Group{"a": kv}, nil },
		"holder":   func(kv resilient.KVWithHealth) (any, error) { return holder{kv}, nil },
		"pointer":  func(kv resilient.KVWithHealth) (any, error) { return &holder{kv}, nil },
	}
	for kind, open := range absent {
		for how, hold := range holders {
			kv, err := open(password)
			require.NoError(t, err)
			held, err := hold(kv)
			require.NoError(t, err)
			if closer, ok := held.(resilient.KV); ok { // what is live must not be looked at
				require.NoError(t, closer.Close())
			}
			require.NoError(t, kv.Close())
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				text := fmt.Sprintf(verb, held)
				for _, form := range append(forms(password), "[67 65 78 65 82 89]") {
					require.NotContains(t, text, form, "%s, %s, %s", kind, how, verb)
				}
			}
			if text, err := json.Marshal(held); err == nil {
				require.NotContains(t, string(text), password)
			}
		}
	}
}
