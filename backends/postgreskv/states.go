package postgreskv

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/holdfastkv/holdfast/resilient"
)

// States of PostgreSQL (appendix A of its manual) that the code looks for.
const (
	readOnly        = "25006"
	undefinedTable  = "42P01"
	duplicateTable  = "42P07"
	duplicateObject = "42710"
	uniqueViolation = "23505"
)

// state is what a SQLSTATE means: whether what was asked for may have been
// done, and words for it. The server's own words may hold a key or a value.
type state struct {
	class resilient.Class
	text  string
}

var states = map[string]state{
	"40001": {resilient.Conflict, "serialization failure"},
	"40P01": {resilient.Conflict, "deadlock"},

	readOnly:       {resilient.Refused, "the server is a standby or read-only"},
	"25P03":        {resilient.Refused, "idle_in_transaction_session_timeout has passed"},
	"28000":        {resilient.Refused, "the server does not let this user in"},
	"28P01":        {resilient.Refused, "wrong password"},
	"3D000":        {resilient.Refused, "no such database"},
	"3F000":        {resilient.Refused, "no such schema"},
	"42501":        {resilient.Refused, "the user lacks a right"},
	"42703":        {resilient.Refused, "the table has no such column"},
	undefinedTable: {resilient.Refused, "the table is not there"},
	"53100":        {resilient.Refused, "the disk is full"},
	"53200":        {resilient.Refused, "the server is out of memory"},
	"53300":        {resilient.Refused, "too many connections"},
	"53400":        {resilient.Refused, "a limit of the server's configuration is reached"},
	"55P03":        {resilient.Refused, "a lock was not free within lock_timeout"},
	"57014":        {resilient.Refused, "cancelled, by statement_timeout or an operator"},
	"57P03":        {resilient.Refused, "the server is starting, stopping or recovering"},
	"57P05":        {resilient.Refused, "idle_session_timeout has passed"},
	"58030":        {resilient.Refused, "an I/O error of the server"},
	"XX001":        {resilient.Refused, "corrupt data"},
	"XX002":        {resilient.Refused, "a corrupt index"},

	"40003": {resilient.Failed, "statement completion unknown"},
	"57P01": {resilient.Failed, "the session was ended by an operator or a shutdown"},
	"57P02": {resilient.Failed, "the server has crashed"},
	"57P04": {resilient.Failed, "the database was dropped"},

	"54000": {resilient.Invalid, "a limit of the server is exceeded"},
}

// stateOf returns what e means.
func stateOf(e *pgconn.PgError) state {
	severity := e.SeverityUnlocalized
	if severity == "" { // before PostgreSQL 9.6, and some poolers
		severity = e.Severity
	}
	if severity == "PANIC" {
		// Whatever the state: a disk that is full, or fails, while the log is
		// written ends the server so, and recovery may find the commit in it.
		return state{resilient.Failed, "the server has crashed"}
	}
	if s, ok := states[e.Code]; ok {
		return s
	}
	switch kind := e.Code[:min(2, len(e.Code))]; {
	case kind == "22", kind == "23":
		return state{resilient.Invalid, "the server refuses this key or value"}
	case kind == "08":
		return state{resilient.Failed, "connection exception"} // of a pooler, about its own connection
	case severity == "ERROR":
		// It has rolled the transaction back.
		return state{resilient.Refused, "an error of the server"}
	}
	return state{resilient.Failed, "the server has ended the session"}
}

func hasState(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// code is the state's five characters, or nothing: what speaks the protocol may
// be anybody.
func code(e *pgconn.PgError) string {
	odd := func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }
	if len(e.Code) != 5 || strings.ContainsFunc(e.Code, odd) {
		return "unknown"
	}
	return e.Code
}
