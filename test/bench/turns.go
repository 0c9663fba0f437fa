package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// series is what was measured in each round.
type series []float64

// quantile returns the value that a share q of the rounds stays below; 0 if
// there are none.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (s series) median() float64 { return s.quantile(0.5) }

// pairwise returns f of what two ways took in the same round.
func (s series) pairwise(other series, f func(a, b float64) float64) series {
	out := make(series, len(s))
	for i := range s {
		out[i] = f(s[i], other[i])
	}
	return out
}

func (s series) minus(other series) series {
	return s.pairwise(other, func(a, b float64) float64 { return a - b })
}

func (s series) over(other series) series {
	return s.pairwise(other, func(a, b float64) float64 { return a / b })
}

// turns measures the ways with so many callers at once. It returns for each the
// nanoseconds from one answer to the next, by round: with n callers that is a
// call's time divided by as many of them as get on at the same time.
func (b *bench) turns(callers int, ways ...way) []series {
	b.tb.Helper()
	out := make([]series, len(ways))
	counts := make([]int, len(ways))
	for i, w := range ways {
		counts[i] = b.calibrate(callers, w)
	}
	order := make([]int, len(ways))
	for i := range order {
		order[i] = i
	}
	for range b.rounds {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			out[i] = append(out[i], b.spent(callers, counts[i], ways[i]))
		}
	}
	return out
}

// calibrate returns how many calls of each caller fill the time of a turn. It
// takes the best of three tries: one that the machine held up would make turns
// of a few calls, in which everything is slow.
func (b *bench) calibrate(callers int, w way) int {
	b.tb.Helper()
	const most = 1 << 24
	for n := 1; ; n *= 2 {
		best := b.spent(callers, n, w)
		for range 2 {
			best = min(best, b.spent(callers, n, w))
		}
		took := time.Duration(best * float64(n*callers))
		if took >= b.slice/4 || n >= most {
			return max(1, int(float64(n)*float64(b.slice)/float64(max(took, 1))))
		}
	}
}

// spent lets callers make n calls each, and returns the time per call.
func (b *bench) spent(callers, n int, w way) float64 {
	b.tb.Helper()
	began := time.Now()
	var failed error
	if callers == 1 {
		failed = w.repeat(n)
	} else {
		failed = together(callers, func(int) error { return w.repeat(n) })
	}
	took := time.Since(began)
	b.must(failed)
	return float64(took) / float64(n*callers)
}

// repeat makes n calls, and returns why one did not end as it has to.
func (w way) repeat(n int) error {
	ctx := context.Background()
	for range n {
		if err := w.call(ctx); (err != nil) != w.refused {
			return fmt.Errorf("%s: unexpected answer: %w", w.name, err)
		}
	}
	return nil
}

// together calls do so many times at once and returns one of the errors.
func together(callers int, do func(caller int) error) error {
	var (
		all    sync.WaitGroup
		once   sync.Once
		failed error
	)
	for i := range callers {
		all.Go(func() {
			if err := do(i); err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	all.Wait()
	return failed
}
