// Package notes names the facts that a group keeps in its journal.
package notes

import "strings"

// Strict says that the group's mode is MirrorStrict, in which a crash leaves no
// member with less than the others.
const Strict = "strict"

const (
	incomplete = "incomplete: "
	rebuilt    = "rebuilt: "
)

// Incomplete says that a member may lack what the others have. It outweighs
// Rebuilt.
func Incomplete(member string) string { return incomplete + member }

// Rebuilt says that a member has been made a full copy of the first one.
func Rebuilt(member string) string { return rebuilt + member }

// OfRebuilt returns the member that a note says was rebuilt.
func OfRebuilt(name string) (member string, ok bool) { return strings.CutPrefix(name, rebuilt) }

// Set is the fact under each of them: that it is so.
func Set() []byte { return []byte{1} }
