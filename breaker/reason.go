package breaker

import (
	"fmt"
	"time"
)

// The reasons of transitions are made of fixed words and a few figures.

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func row(n int, what string) string {
	if n == 1 {
		return count(n, what)
	}
	return count(n, what) + " in a row"
}

// share is rounded down: it never says 100 % of calls of which one was good.
func share(failed, calls int, window time.Duration) string {
	return fmt.Sprintf("%d%% of %d calls failed in %s", int64(100)*int64(failed)/int64(calls), calls, window)
}
