package kvstatus

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestRegression_AStoreThatCannotTellItsHealthIsShownAsFailingAllChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		s, err := resilient.Wrap(resilient.NoHealth(kv), resilient.Config{Name: "theirs", Observer: p})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		p.Watch(s)
		time.Sleep(time.Minute)
		m := p.unit(&p.read()[0], time.Now()).Members[0]
		require.NotEmpty(t, m.Checks.Bars)
		for _, bar := range m.Checks.Bars {
			require.Equal(t, "unknown", bar.Class)
		}
		require.Contains(t, m.Checks.Label, "0 bad, 0 slow")
		for _, f := range m.Facts {
			require.False(t, f.Alarm, f)
			if f.Question == "Last check" {
				require.Contains(t, f.Answer, "unknown")
			}
		}
		require.Empty(t, p.log.newest(), "it says nothing new")
		require.Equal(t, http.StatusOK, get(t, p, "/readyz").Code)
	})
}
