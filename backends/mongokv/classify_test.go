package mongokv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// requireClass checks what err, of a write or a read, is matched by.
func requireClass(t *testing.T, want resilient.Class, writes bool, err error, msg string) {
	t.Helper()
	require.Error(t, err, msg)
	require.NotContains(t, err.Error(), "SECRET", msg)
	require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "SECRET", msg)
	got := resilient.Failed // what the Store makes of "don't know"
	if class := (&KV{}).Classify(err); class != resilient.OK {
		got = class
	}
	require.Equal(t, want, got, "%s: %v", msg, err)
	require.Equal(t, want == resilient.Refused, errors.Is(err, resilient.ErrRefused), "%s: %v", msg, err)
	require.Equal(t, want == resilient.Failed && writes, errors.Is(err, resilient.ErrAmbiguous), "%s: %v", msg, err)
	require.Equal(t, want >= resilient.Refused, errors.Is(err, resilient.ErrUnavailable), "%s: %v", msg, err)
}

// errorRows are the answers of MongoDB that each class is known by.
var errorRows = []struct {
	code  int
	name  string
	class resilient.Class
}{
	{10107, "NotWritablePrimary", resilient.Refused},
	{13435, "NotPrimaryNoSecondaryOk", resilient.Refused},
	{10058, "LegacyNotPrimary", resilient.Refused},
	{13436, "NotPrimaryOrSecondary", resilient.Refused},
	{371, "UserWritesBlocked", resilient.Refused},
	{14031, "OutOfDiskSpace", resilient.Refused},
	{134, "ReadConcernMajorityNotAvailableYet", resilient.Refused},
	{13, "Unauthorized", resilient.Refused},
	{18, "AuthenticationFailed", resilient.Refused},
	{8000, "AtlasError", resilient.Refused},
	{189, "PrimarySteppedDown", resilient.Failed},
	{11600, "InterruptedAtShutdown", resilient.Failed},
	{11601, "Interrupted", resilient.Failed},
	{11602, "InterruptedDueToReplStateChange", resilient.Failed},
	{91, "ShutdownInProgress", resilient.Failed},
	{6, "HostUnreachable", resilient.Failed},
	{7, "HostNotFound", resilient.Failed},
	{89, "NetworkTimeout", resilient.Failed},
	{9001, "SocketException", resilient.Failed},
	{262, "ExceededTimeLimit", resilient.Failed},
	{50, "MaxTimeMSExpired", resilient.Failed},
	{43, "CursorNotFound", resilient.Failed},
	{112, "WriteConflict", resilient.Conflict},
	{10334, "BSONObjectTooLarge", resilient.Invalid},
	{17280, "KeyTooLong", resilient.Invalid},
	{121, "DocumentValidationFailure", resilient.Invalid},
	{2, "BadValue", resilient.Invalid},
	{9, "FailedToParse", resilient.Invalid},
	{14, "TypeMismatch", resilient.Invalid},
	{73, "InvalidNamespace", resilient.Invalid},
	{12345678, "NobodyKnows", resilient.Failed},
}

func TestAgainstAFakeServerEachErrorCodeHasItsClass(t *testing.T) {
	require.Len(t, errorRows, len(classes), "a row for each code, but 11000, and one for a code that is not known")
	var answer bson.D
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return answer })
	kv := open(t, f.uri(), Config{})
	for _, row := range errorRows {
		answer = failure(row.code, row.name)
		for _, o := range operations {
			err := o.call(t.Context(), kv)
			requireClass(t, row.class, o.writes, err, row.name+" "+o.name)
			require.ErrorContains(t, err, row.name)
		}
	}
}

func TestAgainstAFakeServerAnErrorOfOneDocumentHasTheClassOfItsCode(t *testing.T) {
	var answer bson.D
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return answer })
	kv := open(t, f.uri(), Config{})
	for _, row := range errorRows {
		answer = writeFailure(0, 0, row.code)
		requireClass(t, row.class, true, kv.SetRaw(t.Context(), "key", nil), row.name)
		requireClass(t, row.class, true, kv.Delete(t.Context(), "key"), row.name)
		requireClass(t, resilient.Failed, true, kv.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": nil}), row.name)
	}
	answer = writeFailure(0, 0, 10334)
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrValueTooLarge)
}

func TestAgainstAFakeServerAWriteThatTooFewHaveIsAmbiguous(t *testing.T) {
	var answer bson.D
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return answer })
	kv := open(t, f.uri(), Config{})
	for code, name := range map[int]string{64: "WriteConcernTimeout", 100: "UnsatisfiableWriteConcern", 91: "ShutdownInProgress", 10107: "NotWritablePrimary"} {
		answer = concernFailure(code, name)
		for _, o := range operations {
			if o.writes {
				err := o.call(t.Context(), kv)
				requireClass(t, resilient.Failed, true, err, name+" "+o.name)
				require.ErrorContains(t, err, name)
			}
		}
		require.Error(t, kv.Health(t.Context()))
	}
}

func TestAgainstAFakeServerLabelsSayThatNothingWasWritten(t *testing.T) {
	var answer bson.D
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return answer })
	kv := open(t, f.uri(), Config{})
	for _, labels := range [][]string{{"NoWritesPerformed"}, {"SystemOverloadedError", "RetryableError"}} {
		answer = failure(462, "IngressRequestRateLimitExceeded", labels...)
		for _, o := range operations {
			requireClass(t, resilient.Refused, o.writes, o.call(t.Context(), kv), labels[0]+" "+o.name)
		}
		require.Len(t, f.asked("update"), 2, "each write was sent once")
		f.mu.commands = nil
	}
}

func TestAgainstAFakeServerAConnectionThatIsCutLeavesAWriteInDoubt(t *testing.T) {
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return nil })
	kv := open(t, f.uri(), Config{})
	for _, o := range operations {
		var err error
		require.Eventually(t, func() bool { // the pool is closed for a moment after a cut
			err = o.call(t.Context(), kv)
			return !errors.Is(err, resilient.ErrRefused)
		}, patience, 1)
		requireClass(t, resilient.Failed, o.writes, err, o.name)
	}
}

func TestAgainstAFakeServerWhatIsNoAnswerIsAnError(t *testing.T) {
	f := newFake(t, nil, func(string, bson.Raw) bson.D { return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: "SECRET"}} })
	kv := open(t, f.uri(), Config{})
	_, err := kv.GetRaw(t.Context(), "key")
	requireClass(t, resilient.Failed, false, err, "GetRaw")
	_, err = kv.List(t.Context(), "")
	requireClass(t, resilient.Failed, false, err, "List")
	_, err = kv.BatchGetRaw(t.Context(), []string{"key"})
	requireClass(t, resilient.Failed, false, err, "BatchGetRaw")
}

func TestCredentialsThatTheServerRefusesAreARefusal(t *testing.T) {
	s := servertest.FerretDB(t) // which has no users
	kv := open(t, "mongodb://user:SECRET@"+s.Addr()+"/?authMechanism=SCRAM-SHA-256", small(Config{}))
	for _, o := range operations {
		requireClass(t, resilient.Refused, o.writes, o.call(t.Context(), kv), o.name)
	}
}

func TestANamespaceThatTheServerRefusesIsInvalid(t *testing.T) {
	kv, _ := server(t, Config{Namespace: "_ferretdb_reserved"})
	requireClass(t, resilient.Invalid, true, kv.SetRaw(t.Context(), "key", nil), "InvalidNamespace")
	require.Error(t, kv.Health(t.Context()))
}

// These cannot be had from a server on demand.
func TestTheClassOfTheDriversErrorValues(t *testing.T) {
	reset := topology.ConnectionError{Wrapped: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
	inUse := driver.Error{Labels: []string{driver.NetworkError}, Wrapped: reset}
	overloaded := driver.Error{Labels: []string{driver.ErrSystemOverloadedError, driver.NetworkError}, Wrapped: reset}
	shaken := topology.ConnectionError{Wrapped: inUse}
	command := func(err error) error {
		var inner driver.Error
		require.ErrorAs(t, err, &inner)
		return mongo.CommandError{Code: inner.Code, Labels: inner.Labels, Wrapped: err}
	}
	kv := &KV{}
	for name, c := range map[string]struct {
		err  error
		want resilient.Class
	}{
		"no server to write to":                {topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, resilient.Refused},
		"no free connection":                   {topology.WaitQueueTimeoutError{Wrapped: context.DeadlineExceeded}, resilient.Refused},
		"a closed pool":                        {topology.ErrPoolClosed, resilient.Refused},
		"a pool that was cleared":              {command(driver.Error{Wrapped: clearedPool{}}), resilient.Refused},
		"a deadline too near to send":          {driver.ErrDeadlineWouldBeExceeded, resilient.Refused},
		"a context that ended before":          {context.Canceled, resilient.Refused},
		"a disconnected client":                {mongo.ErrClientDisconnected, resilient.Refused},
		"a closed server":                      {topology.ErrServerClosed, resilient.Refused},
		"a connection that was not made":       {command(overloaded), resilient.Refused},
		"a handshake that failed":              {command(shaken), resilient.Refused},
		"a certificate that is not trusted":    {topology.ConnectionError{Wrapped: io.EOF}, resilient.Refused},
		"a connection that broke":              {command(inUse), resilient.Failed},
		"a deadline on a connection":           {command(driver.Error{Labels: []string{driver.NetworkError}, Wrapped: topology.ConnectionError{Wrapped: context.DeadlineExceeded}}), resilient.Failed},
		"a cancel on a connection":             {command(driver.Error{Labels: []string{driver.NetworkError}, Wrapped: topology.ConnectionError{Wrapped: context.Canceled}}), resilient.Failed},
		"several codes, the worst":             {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{WriteError: mongo.WriteError{Code: 112}}, {WriteError: mongo.WriteError{Code: 91}}}}, resilient.Failed},
		"several codes, one that is not known": {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{WriteError: mongo.WriteError{Code: 112}}, {WriteError: mongo.WriteError{Code: 12345678}}}}, resilient.OK},
		"another key of the same":              {mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: duplicateKey}}}, resilient.Conflict},
		"somebody else's document":             {errNotBinary, resilient.Invalid},
		"no error":                             {nil, resilient.OK},
		"anything else":                        {errors.New("malformed wire message"), resilient.OK},
		"ours, ambiguous":                      {resilient.ErrAmbiguous, resilient.Failed},
		"ours, refused":                        {resilient.ErrRefused, resilient.Refused},
	} {
		require.Equal(t, c.want, kv.Classify(c.err), name)
		if c.err != nil {
			require.Equal(t, c.want, kv.Classify(fmt.Errorf("wrapped: %w", c.err)), name)
		}
	}
}

// clearedPool is like the driver's own, which is private.
type clearedPool struct{ error }

func (clearedPool) Retryable() bool { return true }
