//go:build planted

package failover

// Plant leaves out a rule from now on.
func Plant(bug string) { plantedBug = bug }
