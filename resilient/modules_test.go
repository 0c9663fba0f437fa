package resilient_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// moduleFloors are the oldest versions that may be in go.mod.
var moduleFloors = []struct{ path, floor, why string }{
	{"github.com/dgraph-io/badger/v4", "v4.9.6", "before 4.9.4 deleted keys come back and acknowledged writes are dropped; the oldest that is tested"},
	{"github.com/jackc/pgx/v5", "v5.12.0", "earlier ones have two published holes of high severity"},
	{"github.com/redis/go-redis/v9", "v9.23.0", "before 9.7.3 answers can come out of order (CVE-2025-29923), and this is the oldest that is tested"},
	{"github.com/sony/gobreaker/v2", "v2.4.0", "the breaker is tested against this one's transitions"},
	{"github.com/cenkalti/backoff/v4", "v4.3.0", "the delays are tested against this one"},
	{"go.mongodb.org/mongo-driver/v2", "v2.9.3", "the oldest that is tested"},
	{"github.com/go-sql-driver/mysql", "v1.10.1", "the oldest whose parse errors are known to hide the password"},
	{"go.etcd.io/etcd/client/v3", "v3.7.3", "the oldest that is tested"},
	{"github.com/hashicorp/consul/api", "v1.34.4", "the oldest that is tested"},
	{"go.etcd.io/bbolt", "v1.5.0", "the oldest whose errors on a full disk are tested"},
	{"go.opentelemetry.io/otel/metric", "v1.47.0", "the oldest that is tested"},
	{"github.com/prometheus/client_golang", "v1.25.0", "the oldest that is tested"},
}

// heavy are modules, and beginnings of modules' paths, that only tests need.
// They are required by go.mod files below test/.
var heavy = []string{
	"github.com/Shopify/toxiproxy", "github.com/chromedp/", "github.com/failsafe-go/", "github.com/eapache/", "github.com/cep21/circuit",
	"github.com/FerretDB/", "github.com/hashicorp/raft", "github.com/testcontainers/", "github.com/alicebob/miniredis", "honnef.co/go/tools",
	"go.etcd.io/etcd/server", "github.com/docker/", "k8s.io/",
}

// heavyExact are such modules whose path begins those of others.
var heavyExact = []string{"github.com/hashicorp/consul"}

// goMod is what go mod edit -json says of go.mod.
type goMod struct {
	Go, Toolchain string
	Require       []struct{ Path, Version string }
	Replace       []struct{ Old struct{ Path string } }
}

// faults returns one line for each rule that mod breaks. asks has the go
// directive of each module that it requires.
func (mod goMod) faults(asks map[string]string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if mod.Go != "1.26" && mod.Go != "1.26.0" {
		fault("go.mod asks for go %s: no user shall need more than 1.26", mod.Go)
	}
	if mod.Toolchain != "" {
		fault("go.mod asks for toolchain %s: the user chooses it", mod.Toolchain)
	}
	for _, r := range mod.Replace {
		fault("go.mod replaces %s: a user's build ignores that and links what was never tested", r.Old.Path)
	}
	versions := map[string]string{}
	for _, m := range mod.Require {
		versions[m.Path] = m.Version
		if m.Path == "go.mongodb.org/mongo-driver" {
			fault("%s is version 1 of the driver, which is deprecated: use version 2", m.Path)
		}
		if slices.Contains(heavyExact, m.Path) || slices.ContainsFunc(heavy, func(h string) bool { return strings.HasPrefix(m.Path, h) }) {
			fault("%s is for tests: require it in a go.mod below test/, or every user's module graph has it", m.Path)
		}
		if older("v1.26.0", "v"+asks[m.Path]) {
			fault("%s %s asks for go %s: no dependency may ask a user for more than 1.26", m.Path, m.Version, asks[m.Path])
		}
	}
	for _, f := range moduleFloors {
		switch version := versions[f.path]; {
		case version == "":
			fault("%s is not required any more: take it, or what stands in for it, into moduleFloors", f.path)
		case older(version, f.floor):
			fault("%s %s is older than %s: %s", f.path, version, f.floor, f.why)
		}
	}
	return faults
}

func readGoMod(t *testing.T) (mod goMod) {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &mod))
	require.NotEmpty(t, mod.Require)
	return mod
}

func TestModuleFileKeepsItsFloors(t *testing.T) {
	mod := readGoMod(t)
	args := []string{"list", "-m", "-json=Path,GoVersion"}
	for _, m := range mod.Require {
		args = append(args, m.Path)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	asks := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, GoVersion string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		asks[m.Path] = m.GoVersion
	}
	require.NotEmpty(t, asks["github.com/hashicorp/consul/api"], "newer ones ask for a newer Go")
	for _, fault := range mod.faults(asks) {
		t.Error(fault)
	}
}

func TestEachRuleOfTheModuleFileFindsWhatItForbids(t *testing.T) {
	require.Empty(t, readGoMod(t).faults(nil))
	for want, change := range map[string]func(mod *goMod, require map[string]string, asks map[string]string){
		"no user shall need more": func(mod *goMod, _, _ map[string]string) { mod.Go = "1.27" },
		"the user chooses":        func(mod *goMod, _, _ map[string]string) { mod.Toolchain = "go1.27.0" },
		"high severity":           func(_ *goMod, r, _ map[string]string) { r["github.com/jackc/pgx/v5"] = "v5.11.9" },
		"deleted keys come back":  func(_ *goMod, r, _ map[string]string) { r["github.com/dgraph-io/badger/v4"] = "v4.9.5" },
		"CVE-2025-29923":          func(_ *goMod, r, _ map[string]string) { r["github.com/redis/go-redis/v9"] = "v9.7.2" },
		"this one's transitions":  func(_ *goMod, r, _ map[string]string) { r["github.com/sony/gobreaker/v2"] = "v2.3.0" },
		"which is deprecated":     func(_ *goMod, r, _ map[string]string) { r["go.mongodb.org/mongo-driver"] = "v1.17.10" },
		"consul is for tests":     func(_ *goMod, r, _ map[string]string) { r["github.com/hashicorp/consul"] = "v1.22.0" },
		"toxiproxy/v2 is for":     func(_ *goMod, r, _ map[string]string) { r["github.com/Shopify/toxiproxy/v2"] = "v2.12.0" },
		"chromedp is for tests":   func(_ *goMod, r, _ map[string]string) { r["github.com/chromedp/chromedp"] = "v0.23.0" },
		"failsafe-go is for":      func(_ *goMod, r, _ map[string]string) { r["github.com/failsafe-go/failsafe-go"] = "v0.9.8" },
		"FerretDB is for tests":   func(_ *goMod, r, _ map[string]string) { r["github.com/FerretDB/FerretDB"] = "v1.24.0" },
		"asks for go 1.26.9":      func(_ *goMod, _, asks map[string]string) { asks["github.com/hashicorp/consul/api"] = "1.26.9" },
		"not required any more":   func(_ *goMod, r, _ map[string]string) { delete(r, "go.etcd.io/bbolt") },
	} {
		mod, versions, asks := readGoMod(t), map[string]string{}, map[string]string{"github.com/hashicorp/consul/api": "1.26"}
		for _, m := range mod.Require {
			versions[m.Path] = m.Version
		}
		change(&mod, versions, asks)
		mod.Require = nil
		for path, version := range versions {
			mod.Require = append(mod.Require, struct{ Path, Version string }{path, version})
		}
		faults := mod.faults(asks)
		require.Len(t, faults, 1, want)
		require.Contains(t, faults[0], want)
	}
}

// older compares two versions of the form v1.2.3. A pre-release is older than
// its release.
func older(a, b string) bool {
	numbers := func(v string) (n []int) {
		v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "-")
		v, _, _ = strings.Cut(v, "+")
		for part := range strings.SplitSeq(v, ".") {
			i, _ := strconv.Atoi(part)
			n = append(n, i)
		}
		return n
	}
	if c := slices.Compare(numbers(a), numbers(b)); c != 0 {
		return c < 0
	}
	return strings.Contains(a, "-") && !strings.Contains(b, "-")
}

func TestOlderComparesNumbersNotText(t *testing.T) {
	require.True(t, older("v4.9.6", "v4.10.0"))
	require.True(t, older("v4.9.5", "v4.9.6"))
	require.True(t, older("v4.9.6-rc.1", "v4.9.6"))
	require.False(t, older("v4.9.6", "v4.9.6"))
	require.False(t, older("v25.2.10+incompatible", "v25.2.9"))
	require.False(t, older("v5.0.0", "v4.9.6"))
}
