package failover

import (
	"fmt"

	"github.com/holdfastkv/holdfast/resilient"
)

// memberNames returns what the members are called. Names that the user gave
// must differ; a member without one is called after its backend, with a number
// behind it where that is taken: "redis", "redis-2".
func memberNames(members []resilient.KVWithHealth) (names []string, errs []error) {
	names = make([]string, len(members))
	taken := map[string]int{}
	for i, kv := range members {
		name, given := givenName(kv)
		if !given {
			continue
		}
		if first, ok := taken[name]; ok {
			errs = append(errs, fmt.Errorf("failover: members %d and %d are both called %q", first, i, name))
		}
		names[i], taken[name] = name, i
	}
	for i, kv := range members {
		if names[i] != "" {
			continue
		}
		base := resilient.BackendName(kv)
		names[i] = base
		for n := 2; ; n++ {
			if _, ok := taken[names[i]]; !ok {
				break
			}
			names[i] = fmt.Sprintf("%s-%d", base, n)
		}
		taken[names[i]] = i
	}
	return names, errs
}

// givenName returns the name that the user gave to a member. A Store that is
// called after its backend has none.
func givenName(kv resilient.KVWithHealth) (name string, ok bool) {
	s, ok := kv.(*resilient.Store)
	if !ok || s.Name() == resilient.BackendName(s) {
		return "", false
	}
	return s.Name(), true
}
