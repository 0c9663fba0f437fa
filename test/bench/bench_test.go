package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// go-resiliency's breaker waits in a goroutine until it may close.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"))
}

// TestAQuickRunWritesThePageThePlotsAndTheReadme: the program works, with real
// servers; its figures mean nothing.
func TestAQuickRunWritesThePageThePlotsAndTheReadme(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "docs"), 0o755))
	readme := filepath.Join(root, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n"+tableBegins+"old\n"+tableEnds+"after\n"), 0o644))
	run(t, true, root, nil)

	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Regexp(t, `(?s)^before\n.*through a .Store., .Timeout: -1. \| [0-9.,]+ \| 0 \|.*\nafter\n$`, string(text))
	require.NotContains(t, string(text), "old")

	page, err := os.ReadFile(filepath.Join(root, "docs", "benchmarks.md"))
	require.NoError(t, err)
	for _, heading := range []string{"Targets", "Calls of a store that answers at once", "Get and Set of real stores",
		"A redis is killed, or frozen, under load", "Growth", "The journal on disk", "Hand-back"} {
		require.Contains(t, string(page), "\n## "+heading+"\n")
	}
	require.NotContains(t, string(page), "NaN")
	require.NotContains(t, string(page), "Inf")
	plots, err := filepath.Glob(filepath.Join(root, "docs", "benchmarks", "*.svg"))
	require.NoError(t, err)
	for _, plot := range plots {
		require.Contains(t, string(page), "(benchmarks/"+filepath.Base(plot)+")")
		svg, err := os.ReadFile(plot)
		require.NoError(t, err)
		requireXML(t, string(svg))
	}
	require.Equal(t, strings.Count(string(page), "]("), len(plots), "each plot that the page shows is there")
}

func TestTheReadmeOfThisRepositoryHasAPlaceForTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	b := newBench(t, true)
	_, err = b.inReadme(text)
	require.NoError(t, err)
	_, err = b.inReadme([]byte("another file"))
	require.Error(t, err)
}

func TestACallThatEndsAsItMustNotEndsTheRun(t *testing.T) {
	answers := way{name: "answers", call: func(context.Context) error { return nil }}
	fails := way{name: "fails", call: func(context.Context) error { return errDown }}
	require.NoError(t, answers.repeat(3))
	require.ErrorIs(t, fails.repeat(3), errDown)
	fails.refused, answers.refused = true, true
	require.NoError(t, fails.repeat(3))
	require.Error(t, answers.repeat(3))
}

func TestQuantilesAreThoseOfTheRounds(t *testing.T) {
	s := series{5, 1, 4, 2, 3}
	require.Equal(t, 3.0, s.median())
	require.Equal(t, 2.0, s.quantile(0.25))
	require.Equal(t, 5.0, s.quantile(1))
	require.Equal(t, series{5, 1, 4, 2, 3}, s, "the order of the rounds is kept")
	require.Zero(t, series{}.median())
	require.Equal(t, series{2, 4}, series{4, 8}.over(series{2, 2}))
	require.Equal(t, series{2, 6}, series{4, 8}.minus(series{2, 2}))
}

func TestFiguresArePrintedInTheUnitThatFits(t *testing.T) {
	for ns, want := range map[float64]string{0: "0.0 ns", 3.04: "3.0 ns", 28.4: "28 ns", 1234: "1.2 µs", 45e6: "45 ms", 2.04e9: "2.04 s", -1: "-1.0 ns"} {
		require.Equal(t, want, duration(ns))
	}
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		require.Equal(t, want, thousands(n))
	}
}

func TestAPlotHoldsAllItsLinesInItsArea(t *testing.T) {
	for name, c := range map[string]chart{
		"linear":      {title: "a < b", ticks: []string{"1", "2", "3"}, lines: []line{{"x & y", []float64{0, 55, 110}}}},
		"logarithmic": {logarithmic: true, ticks: []string{"1", "2", "3"}, lines: []line{{"x", []float64{1, 0, 12345}}}},
		"with a gap":  {ticks: []string{"1", "2", "3"}, lines: []line{{"x", []float64{1, math.NaN(), 2}}}},
		"of nothing":  {ticks: []string{"1"}, lines: []line{{"x", []float64{0}}}},
	} {
		svg := c.svg()
		requireXML(t, svg)
		require.NotContains(t, svg, "NaN", name)
		require.NotContains(t, svg, "Inf", name)
		low, high, steps := c.scale()
		require.NotEmpty(t, steps, name)
		for _, l := range c.lines {
			for _, y := range l.ys {
				require.False(t, y > high || !c.logarithmic && y < low, "%s: %v is outside of %v to %v", name, y, low, high)
			}
		}
	}
}

// requireXML demands that text can be parsed.
func requireXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}
