package consulkv

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const permissionDenied = "Permission denied"

// phrases are what Consul says in the body of an answer, and what it means. The
// first that is found counts. Consul tells its errors from each other in the
// same way (structs.IsErrNoLeader, acl.IsErrPermissionDenied, ...). Of 403 and 409
// the body names the key as well: nothing of a body is printed.
var phrases = []struct {
	said  string
	class resilient.Class
}{
	{"ACL not found", resilient.Refused}, // a wrong or revoked token
	{permissionDenied, resilient.Invalid},
	{"Access is restricted", resilient.Refused}, // allow_write_http_from
	{"Endpoint is blocked", resilient.Refused},
	{"rate limit exceeded", resilient.Refused},
	{"No cluster leader", resilient.Refused},
	{"Raft leader not found", resilient.Refused},
	{"node is not the leader", resilient.Refused},
	{"timed out enqueuing operation", resilient.Refused},
	{"No known Consul servers", resilient.Refused},
	{"No path to datacenter", resilient.Refused},
	{"Remote DC has no server", resilient.Refused},
	{"Not ready to serve consistent reads", resilient.Refused},
	{"rpc error getting client", resilient.Refused},
	{"too large", resilient.Invalid},
	{"invalid key name", resilient.Invalid},
	{"leadership lost while committing log", resilient.Failed},
}

// classOf returns what err means if ctx is left out of account, and words for it
// if it is an answer of the server's.
func classOf(err error) (resilient.Class, string) {
	var (
		status api.StatusError
		op     *net.OpError
		dns    *net.DNSError
		large  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &status):
		return classOfStatus(status.Code, status.Body)
	case strings.HasPrefix(err.Error(), "Failed request: "):
		// The driver's Txn keeps the status to itself.
		return classOfStatus(0, err.Error())
	case errors.Is(err, errForbidden):
		return resilient.Invalid, permissionDenied
	case errors.As(err, &large):
		return resilient.Invalid, ""
	case errors.As(err, &op) && op.Op == "dial", errors.As(err, &dns):
		return resilient.Refused, ""
	}
	return resilient.Failed, ""
}

// classOfStatus returns what an answer means that is not the expected one. 500,
// 502 and 504, and what a proxy says with 503, may come after a write was passed
// on; all others mean that it was not.
func classOfStatus(code int, body string) (resilient.Class, string) {
	words := "Consul"
	if code != 0 {
		words = fmt.Sprintf("%d %s", code, http.StatusText(code))
	}
	if code == 0 || code >= 400 {
		for _, p := range phrases {
			if strings.Contains(body, p.said) {
				return p.class, words + ": " + p.said
			}
		}
	}
	switch {
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge:
		return resilient.Invalid, words
	case code == http.StatusConflict:
		return resilient.Conflict, words + ": rolled back"
	case code >= 300 && code < 500:
		return resilient.Refused, words
	case code == 0:
		return resilient.Failed, words + " does not say what it means"
	}
	return resilient.Failed, words
}

// Classify knows the errors of this package, of the driver and of Consul.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	var f *fault
	if errors.As(err, &f) {
		return f.class
	}
	if class, text := classOf(err); class != resilient.Failed || text != "" {
		return class
	}
	return resilient.OK
}
