package resilient_test

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

// linked returns the packages that a program links which imports the given
// ones, and the modules that they come from.
func linked(packages map[string]goPackage, imports ...string) (paths, modules map[string]bool) {
	paths, modules = map[string]bool{}, map[string]bool{}
	for len(imports) > 0 {
		p := packages[imports[0]]
		imports = imports[1:]
		if paths[p.ImportPath] {
			continue
		}
		paths[p.ImportPath] = true
		if p.Module != nil {
			modules[p.Module.Path] = true
		}
		imports = append(imports, p.Imports...)
	}
	return paths, modules
}

func TestBoltUserLinksNoOtherDriver(t *testing.T) {
	packages := goList(t)
	_, modules := linked(packages, module+"/resilient", module+"/backends/boltkv")
	allowed := []string{module, "github.com/sony/gobreaker/v2", "github.com/cenkalti/backoff/v4", "go.etcd.io/bbolt", "golang.org/x/sys"}
	for m := range modules {
		require.Contains(t, allowed, m, "a user of resilient and boltkv must not carry this module")
	}
	require.True(t, modules["go.etcd.io/bbolt"], "the walk reaches the driver")
}

func TestBackendLinksNeitherAnotherDriverNorTheTestingPackage(t *testing.T) {
	packages := goList(t)
	for pkg := range packages {
		rel := strings.TrimPrefix(pkg, module+"/")
		if !matches("backends/*", rel) {
			continue
		}
		paths, _ := linked(packages, pkg)
		require.False(t, paths["testing"], "%s links a test kit into every program", rel)
		for _, rule := range importRules {
			if rule.packages == rel || !matches("backends/*", rule.packages) {
				continue
			}
			for _, driver := range rule.others {
				if strings.HasPrefix(driver, "google.golang.org/grpc") {
					continue // no driver: other clients may speak it too
				}
				for linkedPath := range paths {
					require.False(t, linkedPath == driver || strings.HasSuffix(driver, "/") && strings.HasPrefix(linkedPath, driver),
						"%s links %s, the driver of %s", rel, linkedPath, rule.packages)
				}
			}
		}
	}
}

// processWide are names whose use changes the process for everybody in it.
var processWide = []string{
	"http.DefaultServeMux", "http.Handle", "http.HandleFunc", "http.DefaultTransport", "slog.SetDefault",
	"prometheus.DefaultRegisterer", "prometheus.Register", "prometheus.MustRegister",
	"otel.GetMeterProvider", "otel.SetMeterProvider", "sql.Register", "rand.Seed",
}

// globalState returns one line for each func init and each use of a
// process-wide registry in a file.
func globalState(fset *token.FileSet, file *ast.File) (faults []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				faults = append(faults, fset.Position(n.Pos()).String()+": func init runs in every program that links it")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(processWide, x.Name+"."+n.Sel.Name) {
				faults = append(faults, fset.Position(n.Pos()).String()+": "+x.Name+"."+n.Sel.Name+" belongs to the program, not to a library")
			}
		}
		return true
	})
	return faults
}

func TestS15_NoPackageHasAnInitOrUsesAProcessWideRegistry(t *testing.T) {
	files := 0
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path == filepath.Join("..", "test") || d.Name() == "testdata" || path != ".." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, fault := range globalState(fset, file) {
			t.Error(fault)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 10, "the walk has seen the module")
}

func TestGlobalStateIsFound(t *testing.T) {
	for source, want := range map[string]int{
		"func init() {}":                          1,
		"func f() { http.HandleFunc(p, h) }":      1,
		"var r = prometheus.DefaultRegisterer":    1,
		"type t struct{}; func (t) init() {}":     0,
		"func f(m *http.ServeMux) { m.Handle() }": 0,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "a.go", "package a\n"+source, 0)
		require.NoError(t, err)
		require.Len(t, globalState(fset, file), want, source)
	}
}
