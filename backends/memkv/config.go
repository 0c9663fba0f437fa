package memkv

import (
	"errors"
	"fmt"
	"math"
)

// maxKey is the longest key of the contract, in bytes.
const maxKey = 512

// Config says how much a KV holds. The zero Config has no bounds but that of
// the contract on keys.
type Config struct {
	// MaxBytes bounds the bytes of all keys and values together; the least
	// recently used are dropped to stay under it. Get, Set and their batches
	// use a key, List does not. What the maps need for themselves, about 200
	// bytes for each key, comes on top. It must be greater than MaxKey.
	// 0 = no bound, nothing is ever dropped.
	MaxBytes int64
	// MaxKey is the longest key in bytes, at most 512. 0 = 512.
	MaxKey int
	// MaxValue is the largest value in bytes. 0 = what fits: MaxBytes less
	// MaxKey if there is a bound, else any size.
	MaxValue int
}

// withDefaults returns c with its zero fields filled in; MaxValue stays 0 if
// there is no bound at all.
func (c Config) withDefaults() Config {
	if c.MaxKey == 0 {
		c.MaxKey = maxKey
	}
	if c.MaxValue == 0 && c.MaxBytes > 0 {
		c.MaxValue = int(min(c.MaxBytes-int64(c.MaxKey), math.MaxInt))
	}
	return c
}

// validate reports every fault of c, defaults filled in.
func (c Config) validate() error {
	var errs []error
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxBytes is %d: want 0 or more", c.MaxBytes))
	}
	if c.MaxKey < 0 || c.MaxKey > maxKey {
		errs = append(errs, fmt.Errorf("MaxKey is %d: want 1 to %d, or 0", c.MaxKey, maxKey))
	}
	if c.MaxBytes > 0 && c.MaxBytes <= int64(c.MaxKey) {
		errs = append(errs, fmt.Errorf("MaxBytes is %d: want more than MaxKey, which is %d", c.MaxBytes, c.MaxKey))
	} else if c.MaxValue < 0 {
		errs = append(errs, fmt.Errorf("MaxValue is %d: want 0 or more", c.MaxValue))
	} else if c.MaxBytes > 0 && int64(c.MaxValue) > c.MaxBytes-int64(c.MaxKey) {
		errs = append(errs, fmt.Errorf("MaxValue is %d: a value of that size and a key of %d bytes do not fit into MaxBytes", c.MaxValue, c.MaxKey))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("memkv: %w", errors.Join(errs...))
}
