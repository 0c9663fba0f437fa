package consulkv

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/classtest"
)

func FuzzANamespaceIsOneFolder(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b string) {
		if (Config{Namespace: a}).validate() != nil {
			return
		}
		const endpoint = "/v1/kv/"
		require.Equal(t, endpoint+a, path.Clean(endpoint+a))
		u, err := url.Parse("http://host" + endpoint + a + "/key")
		require.NoError(t, err)
		require.Equal(t, endpoint+a+"/key", u.Path)
		require.Empty(t, u.RawPath+u.RawQuery+u.Fragment)
		require.NotContains(t, a, "/")
		if a != b && (Config{Namespace: b}).validate() == nil {
			require.False(t, strings.HasPrefix(a+"/", b+"/"))
		}
	})
}

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			api.StatusError{Code: len(text), Body: text}, api.StatusError{Code: 500, Body: text}, api.StatusError{Code: 503, Body: text},
			api.StatusError{Code: 403, Body: "Permission denied: " + text}, api.StatusError{Code: 409, Body: text}, errForbidden,
			newFault(errors.New("Failed request: " + text)), newFault(errors.New(text)), &http.MaxBytesError{Limit: 1},
			newFault(api.StatusError{Code: 500, Body: "leadership lost while committing log"}),
			&url.Error{Op: "Put", URL: text, Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}},
			&url.Error{Op: "Put", URL: text, Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
		}
	})
}

func FuzzOpenShowsNothingOfTheAddress(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		kv, err := Open(before+"SECRET"+after, Config{})
		if err != nil {
			require.Nil(t, kv)
			require.Equal(t, errAddress, err)
			require.NotContains(t, err.Error(), "SECRET")
			return
		}
		// It has been taken for a host.
		_, host, err := address(before+"SECRET"+after, Config{})
		require.NoError(t, err)
		u, err := url.Parse("http://" + host + "/v1/kv/key")
		if err == nil {
			require.Nil(t, u.User)
			require.Equal(t, "/v1/kv/key", u.Path)
		}
		require.NoError(t, kv.Close())
	})
}
