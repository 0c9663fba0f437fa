package kvstatus_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
)

func fetch(t *testing.T, p *kvstatus.Page, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return w.Body.String()
}

func TestS10_NoKeyValueOrErrorIsShownInAWholeOutage(t *testing.T) {
	pages := []string{"/", "/health", "/readyz", "/livez", "/status.json"}
	for _, c := range []struct {
		name       string
		withErrors bool
	}{{"without errors", false}, {"with errors", true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := kvstatus.New(kvstatus.Config{WithErrors: c.withErrors})
				outage := outagetest.New(t, p)
				p.Watch(outage.Reporters()...)
				shown := false
				outage.Play(func(act string) {
					for _, path := range pages {
						body := fetch(t, p, path)
						has := strings.Contains(body, outagetest.Canary)
						shown = shown || has
						require.False(t, has && !c.withErrors, "%s, when %s", path, act)
					}
				})
				require.Equal(t, c.withErrors, shown, "errors are shown if that is wanted")
			})
		})
	}
}

func TestReadinessFollowsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := kvstatus.New(kvstatus.Config{})
		outage := outagetest.New(t, p)
		p.Watch(outage.Group)
		said := map[string]string{}
		outage.Play(func(act string) { said[act] = fetch(t, p, "/readyz") })
		require.Equal(t, "ready\n", said["all is well"])
		require.Equal(t, "ready, degraded\n", said["first is down"])
		require.Equal(t, "not ready\n", said["second is down too"])
		require.Equal(t, "ready\n", said["both are back"])
		require.Contains(t, fetch(t, p, "/"), "Nobody serves.", "after Close")
	})
}
