package docs_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forContributors are the documents that say where things are.
var forContributors = []string{"architecture.md", "../CONTRIBUTING.md"}

// commands are what a code span may begin with that is no name.
var commands = regexp.MustCompile(`^(go|make|HOLDFAST_\w+=\S+) `)

// parts are what a command, in a span or a block, must have right.
var parts = regexp.MustCompile(`HOLDFAST_[A-Z_]+|\bmake [a-z][a-z-]*|\./(?:[a-z]+/)*[a-z]+`)

// words are the code spans that are words of Go, its tools and its libraries.
var words = map[string]bool{
	"init": true, "mu": true, "now": true, "-race": true, "var _": true, "errors.As": true, "testing/synctest": true,
	"testify/require": true, "TestRegression_": true, "TestMain": true,
}

var variable = regexp.MustCompile(`(?:variable: |Getenv\(|envInt\(|, )"(HOLDFAST_[A-Z_]+)"`)

var span = regexp.MustCompile("`([^`\n]+)`")

// TestEveryNameInTheDocumentsForContributorsIsThere: a page that sends its
// reader to what was renamed is worse than none.
func TestEveryNameInTheDocumentsForContributorsIsThere(t *testing.T) {
	there := namesOf(t, "..")
	t.Run("AndOneThatIsNotIsFound", func(t *testing.T) { testThatUnknownNamesAreFound(t, there) })
	for _, doc := range forContributors {
		text, err := os.ReadFile(doc)
		require.NoError(t, err)
		for _, fault := range unknown(string(text), there) {
			t.Errorf("%s: %s is not there", doc, fault)
		}
	}
}

func testThatUnknownNamesAreFound(t *testing.T, there map[string]bool) {
	for text, want := range map[string][]string{
		"`failover.KV.lead`, `spread.settle` and `failover/lead.go`": nil,
		"`make test` and `go test ./failover -run TestX`":            nil,
		"`failover.KV.led`":    {"failover.KV.led"},
		"`failover/led.go`":    {"failover/led.go"},
		"`spread.settles`":     {"spread.settles"},
		"`Config.Straggles`":   {"Config.Straggles"},
		"`resilient.Stores`":   {"resilient.Stores"},
		"`lead from failover`": {"lead from failover"},
		"`make tests`":         {"make tests"},
		"    HOLDFAST_SEEED=1 go test ./failover/boltjournals": {"HOLDFAST_SEEED", "./failover/boltjournals"},
	} {
		require.Equal(t, want, unknown(text, there), text)
	}
}

// unknown returns the code spans of text that are neither a command nor a file
// or name of the module, and the parts of commands that are not there.
func unknown(text string, there map[string]bool) (faults []string) {
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		name := m[1]
		_, err := os.Stat(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil && !there[name] && !words[name] && !commands.MatchString(name) {
			faults = append(faults, name)
		}
	}
	for _, part := range parts.FindAllString(text, -1) {
		_, err := os.Stat(filepath.Join("..", filepath.FromSlash(part)))
		if err != nil && !there[part] {
			faults = append(faults, part)
		}
	}
	return faults
}

// namesOf returns every name that the packages under root declare, tests'
// included: "GetRaw", "KV.GetRaw", "failover.KV.GetRaw", and the fields of
// structs in the same way; the variables of the environment that they name; and
// "make test" for each target of the Makefile.
func namesOf(t *testing.T, root string) map[string]bool {
	there := map[string]bool{}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for _, target := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllSubmatch(makefile, -1) {
		there["make "+string(target[1])] = true
	}
	require.NoError(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("HOLDFAST_")) {
			for _, m := range variable.FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := strings.TrimSuffix(source.Name.Name, "_test")
		declare := func(parts ...string) {
			if name := strings.Join(parts, "."); !strings.HasSuffix(name, ".") {
				there[name], there[pkg+"."+name] = true, true
			}
		}
		there[pkg+"/"+path.Base(filepath.ToSlash(file))] = true
		for _, decl := range source.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					declare(d.Name.Name)
				} else {
					declare(receiver(d.Recv.List[0].Type), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					declareSpec(s, declare)
				}
			}
		}
		return nil
	}))
	return there
}

func declareSpec(s ast.Spec, declare func(...string)) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			declare(name.Name)
		}
	case *ast.TypeSpec:
		declare(s.Name.Name)
		var fields *ast.FieldList
		switch typ := s.Type.(type) {
		case *ast.StructType:
			fields = typ.Fields
		case *ast.InterfaceType:
			fields = typ.Methods
		default:
			return
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				declare(s.Name.Name, name.Name)
				if ast.IsExported(name.Name) {
					declare(name.Name)
				}
			}
		}
	}
}

// receiver returns the name of a receiver's type.
func receiver(typ ast.Expr) string {
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}
