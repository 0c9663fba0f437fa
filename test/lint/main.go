// Command gosec looks for security faults in the packages that go vet shows it:
//
//	go vet -vettool=$PWD/bin/gosec ./...
//
// It is gosec with all its rules. As a tool of go vet its findings are in the
// build cache, so that only what has changed is looked at again, and it links
// none of the clients of language models that gosec's own command links for its
// proposals: they take minutes to compile.
//
// It says nothing about test files, nor about packages that import "testing":
// they write, run and dial what they like, and no user's program links them,
// which a test of the package resilient sees to. Any other exception stands in
// the line that it is for, with the rule and a reason:
//
//	return os.Open(path) //#nosec G304 -- the path is the caller's own
package main

import (
	"go/ast"
	"slices"
	"strings"

	"github.com/securego/gosec/v2/goanalysis"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	gosec := *goanalysis.Analyzer
	gosec.Run = func(pass *analysis.Pass) (any, error) {
		name := func(f *ast.File) string { return pass.Fset.Position(f.Package).Filename }
		if slices.ContainsFunc(pass.Files, func(f *ast.File) bool { return !isTest(name(f)) && importsTesting(f) }) {
			return nil, nil
		}
		tell := pass.Report
		pass.Report = func(d analysis.Diagnostic) {
			if !isTest(pass.Fset.Position(d.Pos).Filename) {
				tell(d)
			}
		}
		return goanalysis.Analyzer.Run(pass)
	}
	unitchecker.Main(&gosec)
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

func importsTesting(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` })
}
