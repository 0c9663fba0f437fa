package network

import (
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's bandwidth logs to the global one
	const toxiproxy = "github.com/Shopify/toxiproxy/v2"
	// Toxiproxy leaves those behind that wait to pass something on when the
	// connection that it would go to has ended, and those that wait for them.
	var left []goleak.Option
	for _, function := range []string{
		"/toxics.(*ToxicStub).Run", "/toxics.(*ToxicStub).InterruptToxic", ".(*ToxicLink).read", ".(*ToxicLink).write",
		".(*ToxicCollection).ResetToxics", ".(*ToxicLink).RemoveToxic",
		".(*Proxy).Stop", ".(*Proxy).server", ".(*Proxy).freeBlocker",
	} {
		left = append(left, goleak.IgnoreAnyFunction(toxiproxy+function))
	}
	goleak.VerifyTestMain(m, left...)
}
