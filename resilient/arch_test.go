package resilient

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source returns the functions of the package, tests left out, by the name of
// their receiver's type and their own: "Store.GetRaw".
func source(t *testing.T) map[string]*ast.FuncDecl {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, paths, fs.ErrNotExist)
	decls := map[string]*ast.FuncDecl{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				typ := f.Recv.List[0].Type
				if star, ok := typ.(*ast.StarExpr); ok {
					typ = star.X
				}
				if id, ok := typ.(*ast.Ident); ok {
					name = id.Name + "." + name
				}
			}
			decls[name] = f
		}
	}
	return decls
}

// storeCalls returns the methods of the wrapped store that node calls, or takes
// the value of, outside of function literals that are given to do.
func storeCalls(node ast.Node) (names []string) {
	ast.Inspect(node, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "do" {
				return false
			}
		}
		method, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if on, ok := method.X.(*ast.SelectorExpr); ok && (on.Sel.Name == "kv" || on.Sel.Name == "batch") {
			names = append(names, method.Sel.Name)
		}
		return true
	})
	return names
}

// calls reports whether f has a call of a method with one of the names.
func calls(f *ast.FuncDecl, names ...string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(names, s.Sel.Name) {
				found = true
			}
		}
		return true
	})
	return found
}

func TestEveryPublicMethodOfStoreAndMemberThatTouchesTheStoreCallsDo(t *testing.T) {
	decls := source(t)
	// Each operation has one private method for Store and Member, which calls do.
	ops := map[string]string{
		"GetRaw": "get", "SetRaw": "set", "Delete": "remove", "List": "list",
		"BatchGetRaw": "batchGet", "BatchSetRaw": "batchSet", "BatchDelete": "batchRemove",
	}
	for public, private := range ops {
		for _, typ := range []string{"Store", "Member"} {
			f := decls[typ+"."+public]
			require.NotNil(t, f, "%s.%s", typ, public)
			require.True(t, calls(f, private), "%s.%s does not go through %s", typ, public, private)
		}
		require.True(t, calls(decls["Store."+private], "do"), "Store.%s does not go through do", private)
	}
	// What runs inside a call that do makes, and what is no call: the health
	// check, which the breaker must not stop.
	inside := []string{"Store.gather", "Store.fetch", "Store.fly"}
	for name, f := range decls {
		if strings.HasPrefix(name, "Store.") || strings.HasPrefix(name, "Member.") {
			if !slices.Contains(inside, name) {
				require.Empty(t, storeCalls(f.Body), "%s calls the wrapped store past do", name)
			}
		}
	}
	for _, helper := range []string{"gather", "complete", "oneByOne", "fetch"} {
		for name, f := range decls {
			if ast.IsExported(f.Name.Name) && strings.HasPrefix(name, "Store.") {
				require.False(t, calls(f, helper), "%s calls %s past do", name, helper)
			}
		}
	}
}

func TestThePackageHasNoInit(t *testing.T) {
	require.NotContains(t, source(t), "init")
}
