package breaker

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source parses the package without its tests, by file name.
func source(t *testing.T) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	files := map[string]*ast.File{}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
		}
	}
	require.Contains(t, files, "core.go")
	return files
}

func TestOnlyTheCoreKnowsGobreaker(t *testing.T) {
	for name, file := range source(t) {
		for _, i := range file.Imports {
			if strings.Contains(i.Path.Value, "gobreaker") {
				require.Equal(t, "core.go", name, "replacing the core must mean replacing one file")
			}
		}
	}
}

func TestNothingLeavesTheMonotonicClock(t *testing.T) {
	wall := map[string]bool{
		"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "Round": true, "Truncate": true,
		"UTC": true, "Local": true, "In": true, "AddDate": true, "Date": true,
	}
	for name, file := range source(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				require.False(t, wall[s.Sel.Name], "%s: %s drops the monotonic reading or looks at the wall clock", name, s.Sel.Name)
			}
			return true
		})
	}
}
