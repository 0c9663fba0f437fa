package docs_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shownOtherwise says why no Example that runs has the type or function in it.
var shownOtherwise = map[string]string{
	"resilient.Batcher":    "every Store is one",
	"resilient.Classifier": "for authors of stores: every backend is one",
	"resilient.Limited":    "for authors of stores: every backend is one",
	"resilient.Limits":     "two numbers",
	"resilient.Reporter":   "what has a Status; ExampleObserver_Watch of kvprom",
	"resilient.Codec":      "ExampleCodec makes one",
	"resilient.Kind":       "ExampleTell has one of its values",
	"resilient.Condition":  "ExampleStore_Status prints one",
	"resilient.Status":     "ExampleStore_Status prints one",
	"resilient.Op":         "ExampleError prints one",
	"resilient.PanicError": "what a store's panic becomes; nothing to call",
	"resilient.Member":     "ExampleStore_Join makes one",
	"breaker.State":        "Example prints them",
	"breaker.Outcome":      "Example settles a call with them",
	"breaker.Permit":       "Example has one",
	"breaker.Check":        "ExampleBreaker_StartCheck makes one",
	"breaker.Status":       "ExampleBreaker_Force prints one",
	"breaker.InOnChange":   "for a Close that waits for another one, as a Store's does",
	"failover.Writes":      "ExampleNew has one of its values",
	"failover.Members":     "for authors of journals: package boltjournal is the example",
	"failover.Record":      "for authors of journals: package boltjournal is the example",
	"failover.Recovery":    "for authors of journals: package boltjournal is the example",
	"kvtest.Run":           "needs a testing.T: TestFilesObeyTheContract of examples/custombackend",
	"kvtest.RunDecorated":  "needs a testing.T: conformance_test.go of each backend",
	"kvtest.RunBenchmarks": "needs a testing.B: BenchmarkMemory",
	"kvtest.RunPair":       "needs a testing.T: pairs_test.go of backends",
	"kvtest.Harness":       "what Run takes",
	"rediskv.Open":         "needs a server",
	"postgreskv.Open":      "needs a server",
	"mysqlkv.Open":         "needs a server",
	"mongokv.Open":         "needs a server",
	"etcdkv.Open":          "needs a server",
	"consulkv.Open":        "needs a server",
}

// TestEveryExportedTypeAndFunctionIsInAnExampleThatRuns, or has a reason not to.
func TestEveryExportedTypeAndFunctionIsInAnExampleThatRuns(t *testing.T) {
	shown, packages := map[string]bool{}, map[string]*doc.Package{}
	require.NoError(t, filepath.WalkDir("..", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if rel := filepath.ToSlash(dir); rel == "../test" || rel == "../bin" || rel != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		files := token.NewFileSet()
		var code []*ast.File
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, path := range paths {
			isTest := strings.HasSuffix(path, "_test.go")
			if strings.HasPrefix(filepath.Base(path), "example") || !isTest {
				file, parseErr := parser.ParseFile(files, path, nil, parser.ParseComments)
				if parseErr != nil {
					return parseErr
				}
				if isTest {
					showIn(file, shown)
				} else {
					code = append(code, file)
				}
			}
		}
		rel := filepath.ToSlash(dir)
		if len(code) > 0 && code[0].Name.Name != "main" && !strings.Contains(rel, "internal") {
			packages[code[0].Name.Name], err = doc.NewFromFiles(files, code, "x")
		}
		return err
	}))
	require.Greater(t, len(packages), 15)
	missing, needless := []string{}, map[string]bool{}
	for name := range shownOtherwise {
		needless[name] = true
	}
	for name, p := range packages {
		want := func(name string, alsoShown ...*doc.Func) {
			ok := shown[name] || slices.ContainsFunc(alsoShown, func(f *doc.Func) bool { return shown[p.Name+"."+f.Name] })
			if _, reason := shownOtherwise[name]; reason {
				if needless[name] = ok; ok {
					return
				}
			} else if !ok {
				missing = append(missing, name)
			}
		}
		for _, f := range p.Funcs {
			want(name + "." + f.Name)
		}
		parts := partsOf(p)
		for _, typ := range p.Types {
			if parts[typ.Name] && len(typ.Funcs)+len(typ.Methods) == 0 {
				continue // it is seen where the whole is
			}
			want(name+"."+typ.Name, typ.Funcs...)
			for _, f := range typ.Funcs {
				want(name + "." + f.Name)
			}
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "in no Example that go test runs")
	for name, is := range needless {
		require.False(t, is, "%s needs no reason", name)
	}
}

// partsOf returns the names that fields of p's structs have in their types.
func partsOf(p *doc.Package) map[string]bool {
	parts := map[string]bool{}
	for _, typ := range p.Types {
		for _, s := range typ.Decl.Specs {
			whole, ok := s.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range whole.Fields.List {
				ast.Inspect(field.Type, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok && id.Name != typ.Name {
						parts[id.Name] = true
					}
					return true
				})
			}
		}
	}
	return parts
}

// showIn notes what the Examples of file that have an output select from
// packages: "resilient.Wrap".
func showIn(file *ast.File, shown map[string]bool) {
	for _, x := range doc.Examples(file) {
		if x.Output == "" {
			continue
		}
		ast.Inspect(x.Code, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok {
					shown[pkg.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
	}
}
