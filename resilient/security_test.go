package resilient_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// eachFile shows the Go files of the repository, test modules included, but for
// test files and those of packages that import "testing".
func eachFile(t *testing.T, show func(path string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	seen := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || path != ".." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		names, err := filepath.Glob(filepath.Join(path, "*.go"))
		fset, files, kit := token.NewFileSet(), map[string]*ast.File{}, false
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
			require.NoError(t, err)
			files[name] = file
			kit = kit || imports(file, "testing")
		}
		for name, file := range files {
			if !kit {
				seen++
				show(name, fset, file)
			}
		}
		return err
	}))
	require.Greater(t, seen, 100, "the walk has seen the repository")
}

func imports(file *ast.File, path string) bool {
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

// trusting returns one line for each setting that turns TLS's checks off or
// lets versions in that are broken.
func trusting(fset *token.FileSet, file *ast.File) (faults []string) {
	fault := func(n ast.Node, field string, value ast.Expr) {
		weak := false
		switch v := value.(type) {
		case *ast.Ident:
			weak = field == "InsecureSkipVerify" && v.Name != "false"
		case *ast.SelectorExpr:
			weak = slices.Contains([]string{"VersionSSL30", "VersionTLS10", "VersionTLS11"}, v.Sel.Name)
		}
		if weak {
			faults = append(faults, fset.Position(n.Pos()).String()+": "+field+" is the user's to weaken, not a library's")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok {
				fault(n, key.Name, n.Value)
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if field, ok := left.(*ast.SelectorExpr); ok && i < len(n.Rhs) {
					fault(n, field.Sel.Name, n.Rhs[i])
				}
			}
		}
		return true
	})
	return faults
}

func TestS14_NoPackageTurnsVerificationOffOrOldTLSOn(t *testing.T) {
	eachFile(t, func(_ string, fset *token.FileSet, file *ast.File) {
		for _, fault := range trusting(fset, file) {
			t.Error(fault)
		}
	})
	finds(t, trusting, map[string]int{
		"var c = &tls.Config{InsecureSkipVerify: true}":              1,
		"func f(c *tls.Config) { c.InsecureSkipVerify = true }":      1,
		"var c = &tls.Config{MinVersion: tls.VersionTLS11}":          1,
		"var c = &tls.Config{MinVersion: tls.VersionTLS12}":          0,
		"func f(c *tls.Config) bool { return c.InsecureSkipVerify }": 0,
	})
}

// listening returns one line for each call that opens a port.
func listening(fset *token.FileSet, file *ast.File) (faults []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Listen") {
			faults = append(faults, fset.Position(n.Pos()).String()+": a library opens no port")
		}
		return true
	})
	return faults
}

func TestS15_OnlyExamplesOpenAPort(t *testing.T) {
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if !strings.HasPrefix(path, filepath.Join("..", "examples")) && !strings.HasPrefix(path, filepath.Join("..", "test")) {
			for _, fault := range listening(fset, file) {
				t.Error(fault)
			}
		}
	})
	finds(t, listening, map[string]int{
		`func f() { net.Listen("tcp", ":0") }`:              1,
		"func f(s *http.Server) { s.ListenAndServe() }":     1,
		"func f(p *Page) { http.HandlerFunc(p.ServeHTTP) }": 0,
		"func f(c *net.ListenConfig) { c.Listen(x, y, z) }": 2,
	})
}

// weakRandom returns one line for an import of the generator that is seeded
// alike in every process unless it is told otherwise.
func weakRandom(fset *token.FileSet, file *ast.File) (faults []string) {
	if imports(file, "math/rand") {
		faults = append(faults, fset.Position(file.Pos()).String()+": math/rand/v2 seeds itself; what is secret comes from crypto/rand")
	}
	return faults
}

func TestS34_NothingIsDrawnFromAGeneratorThatSomebodyMustSeed(t *testing.T) {
	eachFile(t, func(_ string, fset *token.FileSet, file *ast.File) {
		for _, fault := range weakRandom(fset, file) {
			t.Error(fault)
		}
	})
	finds(t, weakRandom, map[string]int{`import "math/rand"`: 1, `import "math/rand/v2"`: 0})
}

var (
	exception = regexp.MustCompile(`^//\s*(?:#nosec|gosec:|nolint|lint:)`)
	reasoned  = regexp.MustCompile(`^//#nosec( G\d{3})+ -- \S|^//nolint:[a-z,]+ // \S`)
)

// unreasoned returns one line for each exception to a linter without its rule
// and a reason.
func unreasoned(fset *token.FileSet, file *ast.File) (faults []string) {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if exception.MatchString(c.Text) && !reasoned.MatchString(c.Text) {
				faults = append(faults, fset.Position(c.Pos()).String()+": an exception names its rule and its reason")
			}
		}
	}
	return faults
}

func TestS33_EveryExceptionToALinterHasAReason(t *testing.T) {
	eachFile(t, func(_ string, fset *token.FileSet, file *ast.File) {
		for _, fault := range unreasoned(fset, file) {
			t.Error(fault)
		}
	})
	finds(t, unreasoned, map[string]int{
		"var a = b //#nosec":                             1,
		"var a = b // #nosec G304":                       1,
		"var a = b //#nosec G304 --":                     1,
		"var a = b //#nosec G304 G703 -- the caller's":   0,
		"var a = b //gosec:disable G304":                 1,
		"var a = b //nolint":                             1,
		"var a = b //nolint:unconvert":                   1,
		"var a = b //nolint:errorlint // the same error": 0,
		"//lint:file-ignore U1000 x":                     1,
		"var a = b // nothing":                           0,
	})
}

// finds checks a check.
func finds(t *testing.T, check func(*token.FileSet, *ast.File) []string, sources map[string]int) {
	t.Helper()
	for source, want := range sources {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "a.go", "package a\n"+source, parser.ParseComments)
		require.NoError(t, err)
		require.Len(t, check(fset, file), want, source)
	}
}
