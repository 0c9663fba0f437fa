package breaker

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheZeroConfigIsTheOneWrittenBesideItsFields(t *testing.T) {
	require.NoError(t, Config{}.Validate())
	require.Equal(t, Config{
		Failures: 5, MinCalls: 20, Window: 10 * time.Second, Fall: 3, Rise: 2, Trials: 2, Lease: 2 * time.Second,
		OpenFor: time.Second, MaxOpenFor: 30 * time.Second, StableFor: time.Minute,
	}, Config{}.withDefaults())
	require.Equal(t, time.Hour, Config{OpenFor: time.Hour}.withDefaults().MaxOpenFor)
}

func TestS32_AConfigThatCannotWorkIsAnErrorThatNamesTheField(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Failures: -1, Fall: -1}, "breaker: Config.Failures: it could never open"},
		{Config{Failures: math.MaxInt}, "breaker: Config.Failures: 9223372036854775807 can never be reached"},
		{Config{Fall: math.MaxInt}, "breaker: Config.Fall: "},
		{Config{Rate: math.NaN()}, "breaker: Config.Rate: NaN"},
		{Config{Rate: math.Inf(1)}, "breaker: Config.Rate: "},
		{Config{Rate: -0.1}, "breaker: Config.Rate: "},
		{Config{Rate: 1.01}, "breaker: Config.Rate: "},
		{Config{MinCalls: -1}, "breaker: Config.MinCalls: -1 is negative"},
		{Config{MinCalls: math.MaxInt}, "breaker: Config.MinCalls: "},
		{Config{Window: -1}, "breaker: Config.Window: -1ns is negative"},
		{Config{Window: 5}, "breaker: Config.Window: 5ns is shorter than 1ms"},
		{Config{Rise: -1}, "breaker: Config.Rise: -1 is negative"},
		{Config{Rise: math.MaxInt}, "breaker: Config.Rise: "},
		{Config{Trials: -1}, "breaker: Config.Trials: -1 is negative"},
		{Config{Trials: math.MaxInt}, "breaker: Config.Trials: "},
		{Config{Lease: -1}, "breaker: Config.Lease: "},
		{Config{OpenFor: -1}, "breaker: Config.OpenFor: "},
		{Config{OpenFor: 5}, "breaker: Config.OpenFor: 5ns is shorter than 1µs"},
		{Config{MaxOpenFor: -1}, "breaker: Config.MaxOpenFor: "},
		{Config{MaxOpenFor: time.Millisecond}, "breaker: Config.MaxOpenFor: 1ms is shorter than OpenFor, 1s"},
		{Config{StableFor: -1}, "breaker: Config.StableFor: "},
	} {
		b, err := New(c.cfg)
		require.ErrorContains(t, err, c.want)
		require.Equal(t, err, c.cfg.Validate())
		require.Nil(t, b)
		require.Equal(t, 1, strings.Count(err.Error(), "breaker: "), "%v", err)
	}
}

func TestAConfigAtItsBoundsIsTaken(t *testing.T) {
	for _, c := range []Config{
		{Fall: -1}, {Failures: -1}, {Failures: -1, Fall: -1, Rate: 1}, {Rate: 1}, {Rate: math.SmallestNonzeroFloat64},
		{Failures: maxCount, MinCalls: maxCount, Fall: maxCount, Rise: maxCount, Trials: maxCount},
		{Window: minWindow, OpenFor: minOpen, Lease: 1, StableFor: 1},
		{OpenFor: time.Hour, MaxOpenFor: time.Hour},
	} {
		require.NoError(t, c.Validate(), "%+v", c)
	}
}

func TestEveryWordHasAName(t *testing.T) {
	require.Equal(t, []string{"closed", "half-open", "open", "unknown"},
		[]string{Closed.String(), HalfOpen.String(), Open.String(), State(9).String()})
	require.Equal(t, []string{"success", "failure", "ignored", "unknown"},
		[]string{Success.String(), Failure.String(), Ignored.String(), Outcome(9).String()})
}

func TestEveryFaultOfAConfigIsNamedAtOnce(t *testing.T) {
	err := Config{Rate: 2, MinCalls: -1, Window: -1, Rise: -1, Trials: -1, Lease: -1, OpenFor: -1, MaxOpenFor: -1, StableFor: -1}.Validate()
	for _, field := range []string{"Rate", "MinCalls", "Window", "Rise", "Trials", "Lease", "OpenFor", "MaxOpenFor", "StableFor"} {
		require.ErrorContains(t, err, "Config."+field+": ")
	}
}

func TestExtremeConfigsThatAreAllowedWork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const long = time.Duration(math.MaxInt64)
		b := mustNew(t, Config{Failures: 1, OpenFor: long, MaxOpenFor: long, StableFor: long, Lease: long, Window: long, Rate: 1})
		b.ExpectChecks(true)
		call(t, b, Failure)
		pass(100 * 365 * 24 * time.Hour)
		require.Equal(t, Open, b.State())

		b = mustNew(t, Config{Failures: 1, OpenFor: time.Microsecond, Trials: 1})
		call(t, b, Failure)
		pass(time.Microsecond)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
	})
}

func TestRegression_AWindowOfCenturiesPanickedAtTheFirstCall(t *testing.T) {
	for _, window := range []time.Duration{math.MaxInt64, math.MaxInt64 - 39, math.MaxInt64 / 10 * 9, math.MaxInt64/2 + 1} {
		b := mustNew(t, Config{Failures: -1, Fall: -1, Rate: 0.5, MinCalls: 2, Window: window})
		call(t, b, Success)
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	}
}
