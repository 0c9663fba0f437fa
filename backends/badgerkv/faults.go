package badgerkv

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/resilient"
)

// faults remembers the first failure after which the database's files are in
// doubt; it stays for good.
type faults struct{ first atomic.Pointer[error] }

// add breaks the store because of err.
func (f *faults) add(err error) {
	err = fmt.Errorf("badgerkv: %w: an earlier write failed and the database must be opened anew: %w", resilient.ErrRefused, err)
	f.first.CompareAndSwap(nil, &err)
}

// err returns the error of all writes after add, nil before.
func (f *faults) err() error {
	if err := f.first.Load(); err != nil {
		return *err
	}
	return nil
}

// syncFailed begins the message that badger v4.9.6 logs, and does nothing else
// about, when the value log could not be synced (valueLog.write in value.go).
const syncFailed = "Error while curlf sync"

// listener is badger's logger: silent, but for the one failure that badger
// tells nobody else. It hears of it before the write is acknowledged.
type listener struct{ faults *faults }

func (l listener) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, syncFailed) {
		return
	}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.faults.add(fmt.Errorf("value log not synced: %w", conceal(err)))
			return
		}
	}
}

func (listener) Warningf(string, ...any) {}
func (listener) Infof(string, ...any)    {}
func (listener) Debugf(string, ...any)   {}
