package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

// scrape is what there is to ask for.
type scrape struct {
	metrics map[string]bool
	labels  map[string]map[string]bool // values of each label
}

// scraped returns what kvprom exports after an outage in which everything
// happens.
func scraped(t *testing.T) (s scrape) {
	s = scrape{map[string]bool{}, map[string]map[string]bool{}}
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		observer, err := kvprom.New(registry)
		require.NoError(t, err)
		outage := outagetest.New(t, observer)
		observer.Watch(outage.Reporters()...)
		outage.Play(func(string) {
			families, err := registry.Gather()
			require.NoError(t, err)
			for _, f := range families {
				s.add(f)
			}
		})
	})
	return s
}

func (s *scrape) add(f *dto.MetricFamily) {
	names := []string{f.GetName()}
	if f.GetType() == dto.MetricType_HISTOGRAM {
		names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
	}
	for _, n := range names {
		s.metrics[n] = true
	}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if s.labels[l.GetName()] == nil {
				s.labels[l.GetName()] = map[string]bool{}
			}
			s.labels[l.GetName()][l.GetValue()] = true
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

var (
	named   = regexp.MustCompile(`\bholdfast_[a-z0-9_]+`)
	matched = regexp.MustCompile(`\b(holdfast_[a-z_]+)(=~|!=|=)"([^"]*)"`)
)

func TestEveryMetricOfTheDashboardAndTheAlertsIsExported(t *testing.T) {
	s := scraped(t)
	dashboard := read(t, "dashboard.json")
	require.True(t, json.Valid([]byte(dashboard)))
	for path, text := range map[string]string{
		"dashboard.json": strings.ReplaceAll(dashboard, `\"`, `"`), "alerts.yaml": read(t, "alerts.yaml"), "operations.md": read(t, "operations.md"),
	} {
		used := 0
		for _, name := range named.FindAllString(text, -1) {
			require.True(t, s.metrics[name] || s.labels[name] != nil, "%s asks for %s, which kvprom does not export", path, name)
			used++
		}
		require.True(t, used > 10 || path == "operations.md", path)
		for _, m := range matched.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[3], "$") {
				continue // the dashboard's variable
			}
			for _, value := range strings.Split(m[3], "|") {
				require.True(t, s.labels[m[1]][value], "%s asks for %s=%q, which kvprom never says", path, m[1], value)
			}
		}
	}
}

func TestTheDashboardShowsEveryMetric(t *testing.T) {
	dashboard := read(t, "dashboard.json")
	for name := range scraped(t).metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		require.Contains(t, dashboard, base)
	}
}

func TestEachAlertIsExplained(t *testing.T) {
	alerts := read(t, "alerts.yaml")
	require.YAMLEq(t, alerts, alerts)
	names := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(alerts, -1)
	require.NotEmpty(t, names)
	guide := read(t, "operations.md")
	for _, n := range names {
		require.Contains(t, guide, "\n### "+n[1]+"\n")
	}
	for _, n := range regexp.MustCompile(`\bHoldfast[A-Z]\w+`).FindAllString(guide, -1) {
		require.True(t, slices.ContainsFunc(names, func(a []string) bool { return a[1] == n }), "%s is no alert", n)
	}
}

func TestTheGuideKnowsEveryWordAndMethod(t *testing.T) {
	guide := read(t, "operations.md")
	for kind := resilient.KindCall; kind <= resilient.KindLost; kind++ {
		require.Contains(t, guide, fmt.Sprintf("\n| %s |", kind))
	}
	for c := resilient.Unknown; c <= resilient.Down; c++ {
		require.Contains(t, guide, fmt.Sprintf("\n| %s |", c))
	}
	for _, name := range regexp.MustCompile("`KV\\.(\\w+)`").FindAllStringSubmatch(guide, -1) {
		_, found := reflect.TypeFor[*failover.KV]().MethodByName(name[1])
		require.True(t, found, "KV.%s", name[1])
	}
	for _, name := range []string{"Drain", "Release", "Failback", "Flush", "Rebuild", "Discard"} {
		require.Contains(t, guide, "`KV."+name+"`")
	}
	manifest := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(guide)
	require.Len(t, manifest, 2)
	require.YAMLEq(t, manifest[1], manifest[1])
}
