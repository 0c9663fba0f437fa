package failover_test

import (
	"fmt"
	"slices"
)

// modelSpec is what clients may be told: the key is a register, and each call
// takes effect at one moment between its begin and its end. It keeps every way
// in which the calls so far can have taken effect; a run is wrong when none is
// left. Sets of ways are numbered, so that a state holds one number.
type modelSpec struct {
	ops  []modelOp
	sets [][]modelWay
	ids  map[string]uint32
	memo map[modelAnswer]uint32
}

// modelWay is one way: bits 0-1 are the key's value; bits 2-5 the values that
// it may take by itself, since a crash; and four bits for each client: a read
// that is under way has the set of values that the key has had since it began,
// a write has pending or took effect.
type modelWay uint32

const (
	wayPending = 1
	wayTook    = 2
)

func (w modelWay) value() uint8    { return uint8(w & 3) }
func (w modelWay) loose() uint8    { return uint8(w >> 2 & 15) }
func (w modelWay) of(op int) uint8 { return uint8(w >> (6 + 4*op) & 15) }

func (w modelWay) withLoose(set uint8) modelWay { return w&^(15<<2) | modelWay(set)<<2 }

func (w modelWay) with(op int, x uint8) modelWay {
	return w&^(15<<(6+4*op)) | modelWay(x)<<(6+4*op)
}

// becomes is w when the key's value has become v: reads that are under way may
// see it.
func (w modelWay) becomes(v uint8, ops []modelOp) modelWay {
	w = w&^3 | modelWay(v)
	for i, o := range ops {
		if !o.write && w.of(i) != 0 {
			w = w.with(i, w.of(i)|1<<v)
		}
	}
	return w
}

// modelAnswer is something that a client learns, or that we learn.
type modelAnswer struct {
	set   uint32
	kind  modelNews
	op    uint8
	value uint8
}

type modelNews uint8

const (
	newsBegan   modelNews = iota // the call begins
	newsGot                      // a read ends with a value, a write with success
	newsGaveUp                   // a read ends without an answer
	newsDenied                   // a write ends: certainly not applied
	newsCut                      // the process ends; value is what the key may then be, a set
	newsFinally                  // at the end the key has this value
)

// wrong is the empty set: no way is left.
const noWay = ^uint32(0)

func newModelSpec(ops []modelOp) *modelSpec {
	p := &modelSpec{ops: ops, ids: map[string]uint32{}, memo: map[modelAnswer]uint32{}}
	p.number([]modelWay{modelWay(oldValue)})
	return p
}

// hear returns the set of ways that are left of set after the news.
func (p *modelSpec) hear(set uint32, kind modelNews, op int, value uint8) uint32 {
	q := modelAnswer{set, kind, uint8(op), value}
	to, ok := p.memo[q]
	if !ok {
		to = p.number(p.grow(p.left(q)))
		p.memo[q] = to
	}
	return to
}

// left keeps the ways that the news leaves possible.
func (p *modelSpec) left(q modelAnswer) []modelWay {
	var ways []modelWay
	for _, w := range p.sets[q.set] {
		if w, ok := p.after(w, q); ok {
			ways = append(ways, w)
		}
	}
	return ways
}

func (p *modelSpec) after(w modelWay, q modelAnswer) (modelWay, bool) {
	switch q.kind {
	case newsCut:
		return w.withLoose(q.value), true
	case newsFinally:
		return w, w.value() == q.value
	}
	op := int(q.op)
	now := w.of(op)
	if p.ops[op].write {
		switch q.kind {
		case newsBegan:
			return w.with(op, wayPending), true
		case newsGot:
			return w.with(op, 0), now == wayTook
		}
		return w.with(op, 0), now == wayPending // denied
	}
	switch q.kind {
	case newsBegan:
		return w.with(op, 1<<w.value()|w.loose()), true
	case newsGot:
		return w.with(op, 0), now&(1<<q.value) != 0
	}
	return w.with(op, 0), true // gaveUp
}

// grow adds what can take effect by itself: pending writes, and the values
// that a crash has left open, until a write takes effect.
func (p *modelSpec) grow(ways []modelWay) []modelWay {
	for n := 0; n < len(ways); n++ {
		w := ways[n]
		add := func(x modelWay) {
			if !slices.Contains(ways, x) {
				ways = append(ways, x)
			}
		}
		for v := range uint8(4) {
			if w.loose()&(1<<v) != 0 {
				add(w.becomes(v, p.ops))
			}
		}
		for i, o := range p.ops {
			if o.write && w.of(i) == wayPending {
				add(w.with(i, wayTook).withLoose(0).becomes(o.value, p.ops))
			}
		}
	}
	slices.Sort(ways)
	return slices.Compact(ways)
}

func (p *modelSpec) number(ways []modelWay) uint32 {
	if len(ways) == 0 {
		return noWay
	}
	name := fmt.Sprint(ways)
	id, ok := p.ids[name]
	if !ok {
		id = uint32(len(p.sets))
		p.ids[name] = id
		p.sets = append(p.sets, ways)
	}
	return id
}
