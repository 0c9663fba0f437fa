package kvstatus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThePlotsSayWhatTheirAxesEndWith(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := newRecord()
	for s := range 20 {
		for range 30 {
			r.calls.add(now.Add(-time.Duration(s+1)*time.Second), served, 2*time.Millisecond)
		}
	}
	plain := func(s string) string { return strings.ReplaceAll(s, gap, " ") }

	v := plotLatency(r, r.sums(now), now)
	require.Equal(t, "10 ms", plain(v.Top))
	require.Equal(t, "1.0 ms", plain(v.Bottom))
	require.Equal(t, "Latency of calls, in the last ten seconds: p50 1.8 ms, p99 2.1 ms", plain(v.Label), "within the width of a bin")
	require.True(t, strings.HasPrefix(v.Lines[0].Points, "280,"), "it begins with the first calls: %s", v.Lines[0].Points)
	require.Contains(t, v.Lines[0].Points, " 300,")

	v = plotCalls(r, r.sums(now), now)
	require.Equal(t, "50", v.Top, "the next round number above 30")
	require.Equal(t, "0", v.Bottom)
	require.Contains(t, v.Label, "30 served, 0 other")
	require.Contains(t, v.Areas[0].Points, "280,24 300,24 ", "30 of 50 on 60 units, from the first calls to now")

	v = plotLatency(nil, nil, now)
	require.False(t, v.Any)
	require.Equal(t, "Latency in the last five minutes: no calls", v.Label)
}
