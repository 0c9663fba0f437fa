package resilient

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
)

// validate returns every fault of the arguments of Wrap at once.
func validate(kv KVWithHealth, c Config) error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("resilient: "+field+": "+format, args...))
	}
	if isNil(kv) {
		fault("Wrap", "the store is nil")
	}
	if c.MaxInFlight < 0 {
		fault("Config.MaxInFlight", "%d is negative", c.MaxInFlight)
	}
	if c.Retry.Attempts < 0 {
		fault("Config.Retry.Attempts", "%d is negative", c.Retry.Attempts)
	}
	if math.IsNaN(c.Retry.Budget) || math.IsInf(c.Retry.Budget, 0) {
		fault("Config.Retry.Budget", "%v is not a number of retries", c.Retry.Budget)
	}
	if math.IsNaN(c.Probe.Jitter) || c.Probe.Jitter > 1 {
		fault("Config.Probe.Jitter", "%v is more than 1", c.Probe.Jitter)
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"Config.Retry.Base", c.Retry.Base},
		{"Config.Retry.Max", c.Retry.Max},
		{"Config.Probe.FastInterval", c.Probe.FastInterval},
		{"Config.Probe.DownInterval", c.Probe.DownInterval},
		{"Config.Probe.MaxDownInterval", c.Probe.MaxDownInterval},
		{"Config.Probe.Timeout", c.Probe.Timeout},
		{"Config.Probe.SlowAfter", c.Probe.SlowAfter},
	} {
		if d.value < 0 {
			fault(d.field, "%v is negative", d.value)
		}
	}
	full := c.withDefaults()
	if c.Retry.Max > 0 && full.Retry.Max < full.Retry.Base {
		fault("Config.Retry.Max", "%v is less than Base, %v", c.Retry.Max, full.Retry.Base)
	}
	if c.Probe.MaxDownInterval > 0 && full.Probe.MaxDownInterval < full.Probe.DownInterval {
		fault("Config.Probe.MaxDownInterval", "%v is less than DownInterval, %v", c.Probe.MaxDownInterval, full.Probe.DownInterval)
	}
	if err := c.Breaker.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("resilient: Config.Breaker: %w", err))
	}
	return errors.Join(faults...)
}

// isNil reports whether kv is nil or holds a nil pointer, map, slice, channel
// or function.
func isNil(kv any) bool {
	if kv == nil {
		return true
	}
	switch v := reflect.ValueOf(kv); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan, reflect.Func:
		return v.IsNil()
	default:
		return false
	}
}
