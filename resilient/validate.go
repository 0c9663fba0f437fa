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
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"Config.Retry.Base", c.Retry.Base},
		{"Config.Retry.Max", c.Retry.Max},
	} {
		if d.value < 0 {
			fault(d.field, "%v is negative", d.value)
		}
	}
	if full := c.Retry.withDefaults(); c.Retry.Max > 0 && full.Max < full.Base {
		fault("Config.Retry.Max", "%v is less than Base, %v", c.Retry.Max, full.Base)
	}
	c.Probe.mend(func(field, format string, args ...any) { fault("Config.Probe."+field, format, args...) })
	if err := c.Breaker.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("resilient: Config.Breaker: %w", err))
	}
	return errors.Join(faults...)
}

// mend puts 0, the default, in place of what p cannot be meant to hold, and tells
// fault of each.
func (p *Probe) mend(fault func(field, format string, args ...any)) {
	for _, d := range []struct {
		field string
		value *time.Duration
	}{
		{"FastInterval", &p.FastInterval},
		{"DownInterval", &p.DownInterval},
		{"MaxDownInterval", &p.MaxDownInterval},
		{"Timeout", &p.Timeout},
		{"SlowAfter", &p.SlowAfter},
	} {
		if *d.value < 0 {
			fault(d.field, "%v is negative", *d.value)
			*d.value = 0
		}
	}
	if math.IsNaN(p.Jitter) || p.Jitter > 1 {
		fault("Jitter", "%v is more than 1", p.Jitter)
		p.Jitter = 0
	}
	if full := p.withDefaults(); p.MaxDownInterval > 0 && full.MaxDownInterval < full.DownInterval {
		fault("MaxDownInterval", "%v is less than DownInterval, %v", p.MaxDownInterval, full.DownInterval)
		p.MaxDownInterval = 0
	}
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
