package network

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
)

// calls are what an operation is asked of: a backend or a Store on one.
type calls interface {
	resilient.KVWithHealth
	resilient.Batcher
}

// value is what is written and read.
var value = bytes.Repeat([]byte("holdfast"), 8<<10)

// operation is one of the contract's, on keys of its own that begin with prefix.
// prefix + "there" is there before it.
type operation struct {
	op resilient.Op
	// call makes it; a wrong answer is a lie.
	call func(ctx context.Context, s calls, prefix string) error
	// changed are the keys that are there after it and not before, or the other
	// way round.
	changed []string
}

// lie is a good answer that is not true.
type lie struct{ text string }

func (l *lie) Error() string { return l.text }

const there = "there"

var operations = []operation{
	{op: resilient.OpGet, call: func(ctx context.Context, s calls, prefix string) error {
		got, err := s.GetRaw(ctx, prefix+there)
		if err == nil && !bytes.Equal(got, value) {
			return &lie{fmt.Sprintf("%d bytes are another value", len(got))}
		}
		return err
	}},
	{op: resilient.OpSet, changed: []string{"new"}, call: func(ctx context.Context, s calls, prefix string) error {
		return s.SetRaw(ctx, prefix+"new", value)
	}},
	{op: resilient.OpDelete, changed: []string{there}, call: func(ctx context.Context, s calls, prefix string) error {
		return s.Delete(ctx, prefix+there)
	}},
	{op: resilient.OpBatchSet, changed: []string{"new1", "new2", "new3"}, call: func(ctx context.Context, s calls, prefix string) error {
		return s.BatchSetRaw(ctx, map[string][]byte{prefix + "new1": value, prefix + "new2": value, prefix + "new3": value})
	}},
	{op: resilient.OpList, call: func(ctx context.Context, s calls, prefix string) error {
		keys, err := s.List(ctx, prefix)
		if err == nil && !slices.Equal(keys, []string{prefix + there}) {
			return &lie{fmt.Sprintf("%d keys are listed", len(keys))}
		}
		return err
	}},
	{op: resilient.OpHealth, call: func(ctx context.Context, s calls, _ string) error { return s.Health(ctx) }},
}

// effect is how much of a write was applied.
type effect uint8

const (
	none effect = iota
	part
	all
)

var effectNames = [...]string{"not applied", "applied in part", "applied"}

func (e effect) String() string { return effectNames[e] }

// seen asks the store itself, past all proxies.
func (o operation) seen(ctx context.Context, truth store, prefix string) (effect, error) {
	if len(o.changed) == 0 {
		return none, nil
	}
	keys := make([]string, len(o.changed))
	for i, key := range o.changed {
		keys[i] = prefix + key
	}
	got, err := truth.BatchGetRaw(ctx, keys)
	n := len(got)
	if o.op == resilient.OpDelete {
		n = len(keys) - n
	}
	switch n {
	case 0:
		return none, err
	case len(keys):
		return all, err
	}
	return part, err
}
