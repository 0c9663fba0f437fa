package outagetest

import "github.com/holdfastkv/holdfast/resilient"

// Group returns the status of a healthy group of two, redis and bolt.
func Group(name string) resilient.Status {
	return resilient.Status{
		Name: name, Kind: "failover", Condition: resilient.Up, Active: "redis",
		Members: []resilient.Status{
			{Name: "redis", Condition: resilient.Up, State: "closed"},
			{Name: "bolt", Condition: resilient.Up, State: "closed"},
		},
	}
}
