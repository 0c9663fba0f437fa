package classtest

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestAClassifierThatIsWrongIsFound(t *testing.T) {
	// An unknown error; a lost answer and a full disk, joined; the same with
	// our own word for it.
	scripts := [][]byte{{pushUnknown << 5}, {15, 30, joinTwo << 5}, {8, 7, joinTwo << 5}}
	for name, judge := range map[string]func(error) resilient.Class{
		"an unknown error is a success": func(err error) resilient.Class { return resilient.OK },
		"an unknown error was not sent": func(err error) resilient.Class { return resilient.Refused },
		"the last try counts": func(err error) resilient.Class {
			if errors.Is(err, syscall.ENOSPC) {
				return resilient.Refused
			}
			return resilient.Failed
		},
		"what it is made of does not count": func(err error) resilient.Class {
			if _, ok := err.(interface{ Unwrap() []error }); ok {
				return resilient.Conflict
			}
			return resilient.Failed
		},
		"ambiguous or not": func(err error) resilient.Class {
			if errors.Is(err, resilient.ErrRefused) {
				return resilient.Refused
			}
			return resilient.Failed
		},
	} {
		var found finder
		for _, script := range scripts {
			build(script, "text", nil, func(made node, of ...node) { checkClass(&found, judge, true, made, of) })
		}
		require.True(t, found.fault, name)
	}
	var found finder
	for _, script := range scripts {
		build(script, "text", []error{io.EOF}, func(made node, of ...node) { checkClass(&found, resilient.DefaultClassify, true, made, of) })
	}
	require.False(t, found.fault)
}

// finder notes that a requirement was not met.
type finder struct{ fault bool }

func (f *finder) Errorf(string, ...any) { f.fault = true }
func (f *finder) FailNow()              {}
