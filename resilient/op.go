package resilient

// Op is an operation on a store.
type Op uint8

// The operations.
const (
	OpGet Op = iota
	OpSet
	OpDelete
	OpList
	OpBatchGet
	OpBatchSet
	OpBatchDelete
	OpHealth
	opCount = iota
)

var opNames = [opCount]string{"get", "set", "delete", "list", "batch-get", "batch-set", "batch-delete", "health"}

// String returns "get", "set", "delete", "list", "batch-get", "batch-set",
// "batch-delete" or "health".
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// Writes reports whether o changes the store.
func (o Op) Writes() bool {
	return o == OpSet || o == OpDelete || o == OpBatchSet || o == OpBatchDelete
}
