package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheirClientSeesAnOutageOfTheirStoreNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, start(t.Context(), &out))
		require.Equal(t, promised(t), out.String())
	})
}

// promised returns what the package's comment says that the program prints.
func promised(t *testing.T) string {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(source), "$ go run ./examples/interop\n")
	require.True(t, ok)
	text, _, ok := strings.Cut(rest, "//\n")
	require.True(t, ok)
	return strings.ReplaceAll(text, "//\t", "")
}
