package guard

import (
	"context"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
)

// CheckWrite checks one key and the size of its value.
func CheckWrite(key string, value []byte, maxValue int) error {
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return resilient.ErrValueTooLarge
	}
	return nil
}

// CheckKeys checks all keys of a batch.
func CheckKeys(keys []string) error {
	for _, key := range keys {
		if err := resilient.CheckKey(key); err != nil {
			return err
		}
	}
	return nil
}

// CheckEntries checks all keys and values of a batch. An empty key is found
// whatever else is wrong, so that the answer does not depend on map order.
func CheckEntries(kv map[string][]byte, maxValue int) error {
	if _, ok := kv[""]; ok {
		return resilient.ErrEmptyKey
	}
	for key, value := range kv {
		if err := CheckWrite(key, value, maxValue); err != nil {
			return err
		}
	}
	return nil
}

// Listed returns keys without those that no call takes, which somebody else has
// put among a store's own: whoever goes through a List gets each of its keys. It
// changes keys in place.
func Listed(keys []string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return resilient.CheckKey(key) != nil })
}

// stride is how many steps of a long call pass between two looks at its
// context.
const stride = 128

// Pulse tells a long call on the caller's goroutine when to stop. It belongs to
// one call.
type Pulse struct {
	shut  <-chan struct{}
	steps int
}

// NewPulse returns the pulse of a call at the store behind g.
func NewPulse(g *Gate) Pulse { return Pulse{shut: g.IsShut()} }

// Step returns ctx's error once ctx has ended and resilient.ErrClosed once the
// store is closing; it looks at every 128th call.
func (p *Pulse) Step(ctx context.Context) error {
	p.steps++
	if p.steps%stride != 0 {
		return nil
	}
	select {
	case <-p.shut:
		return resilient.ErrClosed
	default:
		return ctx.Err()
	}
}
