package resilient

import (
	"reflect"
	"strings"
)

// BackendName returns what a store is called while nobody names it: its package
// without the ending "kv", or its type if the package's name says nothing; "store"
// for nil. Decorators that have an Unwrap are looked through.
func BackendName(kv KV) string {
	return shortName(typeName(reflect.TypeOf(Root(kv))))
}

// shortName makes a name of "package.Type".
func shortName(name string) string {
	pkg, typ, ok := strings.Cut(name, ".")
	if !ok {
		return strings.ToLower(name)
	}
	if short := strings.TrimSuffix(pkg, "kv"); short != pkg && short != "" {
		return short
	}
	switch typ {
	case "KV", "Store", "Client", "Backend":
		return pkg
	}
	return strings.ToLower(typ)
}

// typeName returns "package.Type" without pointers and type arguments.
func typeName(t reflect.Type) string {
	if t == nil { // of no store at all
		return "store"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Name() == "" {
		return "store"
	}
	name, _, _ := strings.Cut(t.String(), "[")
	return name
}

// Root returns the store that kv decorates in the end, for looking: it follows
// Unwrap, but not for ever. A call through it is unguarded.
func Root(kv KV) KV {
	for range 32 {
		next := unwrap(kv)
		if isNil(next) {
			break
		}
		kv = next
	}
	return kv
}

// unwrap returns what kv decorates, or nil.
func unwrap(kv KV) KV {
	switch d := kv.(type) {
	case interface{ inner() KV }:
		return d.inner()
	case interface{ Unwrap() KVWithHealth }:
		return d.Unwrap()
	case interface{ Unwrap() KV }:
		return d.Unwrap()
	}
	return nil
}

// leftoverOf returns what counts the calls that kv, or what it decorates, has
// been left with; nil if none of them lets a caller leave.
func leftoverOf(kv KV) func() int {
	for range 32 {
		if l, ok := kv.(interface{ leftBehind() int }); ok {
			return l.leftBehind
		}
		if kv = unwrap(kv); isNil(kv) {
			break
		}
	}
	return nil
}
