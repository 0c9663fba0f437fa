//go:build !planted

package failover

// planted reports whether a bug is planted: whether one rule of this package is
// left out, so that the simulation can be seen to catch what follows. Only a
// build with the tag "planted" has bugs; in any other one this is a constant
// and costs nothing.
func planted(string) bool { return false }

// misread is where bugs in what a write makes of its results are planted.
func (w *spread) misread() {}
