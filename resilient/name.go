package resilient

import (
	"reflect"
	"strings"
)

// backendName returns what a store is called after: its package without the
// ending "kv", or its type if the package's name says nothing. Decorators that
// have an Unwrap are looked through.
func backendName(kv KV) string {
	name := typeName(reflect.TypeOf(innermost(kv)))
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
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Name() == "" {
		return "store"
	}
	name, _, _ := strings.Cut(t.String(), "[")
	return name
}

// innermost follows Unwrap, but not for ever.
func innermost(kv KV) KV {
	for range 32 {
		var next KV
		switch d := kv.(type) {
		case interface{ Unwrap() KVWithHealth }:
			next = d.Unwrap()
		case interface{ Unwrap() KV }:
			next = d.Unwrap()
		}
		if isNil(next) {
			return kv
		}
		kv = next
	}
	return kv
}
