package mongokv

import "github.com/holdfastkv/holdfast/resilient"

// Codes that the code looks for.
const (
	badValue      = 2
	failedToParse = 9
	unauthorized  = 13
	atlasError    = 8000
	duplicateKey  = 11000
)

// classes are those of the server's error codes. Names are as in MongoDB's own
// list (error_codes.yml). A code that is not here is unknown, and what it says
// about a write is that it may have been applied.
var classes = map[int]resilient.Class{
	// The server that answered cannot write, and has not.
	10107: resilient.Refused, // NotWritablePrimary
	13435: resilient.Refused, // NotPrimaryNoSecondaryOk
	10058: resilient.Refused, // LegacyNotPrimary
	13436: resilient.Refused, // NotPrimaryOrSecondary
	371:   resilient.Refused, // UserWritesBlocked
	14031: resilient.Refused, // OutOfDiskSpace
	134:   resilient.Refused, // ReadConcernMajorityNotAvailableYet

	// The user has no right to the collection, or is not known: it is all of
	// the store that is out of reach, not one key.
	unauthorized: resilient.Refused, // Unauthorized
	18:           resilient.Refused, // AuthenticationFailed
	atlasError:   resilient.Refused, // AtlasError

	// Interrupted, at any point: a write may have been applied.
	189:   resilient.Failed, // PrimarySteppedDown
	11600: resilient.Failed, // InterruptedAtShutdown
	11601: resilient.Failed, // Interrupted
	11602: resilient.Failed, // InterruptedDueToReplStateChange
	91:    resilient.Failed, // ShutdownInProgress
	6:     resilient.Failed, // HostUnreachable
	7:     resilient.Failed, // HostNotFound
	89:    resilient.Failed, // NetworkTimeout
	9001:  resilient.Failed, // SocketException
	262:   resilient.Failed, // ExceededTimeLimit
	50:    resilient.Failed, // MaxTimeMSExpired
	43:    resilient.Failed, // CursorNotFound

	// Rolled back.
	112:          resilient.Conflict, // WriteConflict
	duplicateKey: resilient.Conflict, // DuplicateKey: see set

	// The command itself is wrong.
	10334:         resilient.Invalid, // BSONObjectTooLarge
	17280:         resilient.Invalid, // KeyTooLong
	121:           resilient.Invalid, // DocumentValidationFailure
	badValue:      resilient.Invalid, // BadValue
	failedToParse: resilient.Invalid, // FailedToParse
	14:            resilient.Invalid, // TypeMismatch
	73:            resilient.Invalid, // InvalidNamespace
}
