package breaker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mustNew returns a Breaker that is closed at the end of the test.
func mustNew(tb testing.TB, cfg Config) *Breaker {
	tb.Helper()
	b, err := New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(b.Close)
	return b
}
