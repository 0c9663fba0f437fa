// Package classtest tries classifiers of errors on trees of wrapped and joined
// errors that a fuzzer grows. What it wants of each is what the guarantee
// stands on: a write that may have been applied is never taken for one that
// certainly was not.
package classtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// Fuzz tries classify, a store's Classifier, in front of DefaultClassify, as a
// Store uses it; nil is DefaultClassify alone. own makes errors of the store's
// driver, which may hold text.
func Fuzz(f *testing.F, classify func(error) resilient.Class, own func(text string) []error) {
	judge := resilient.DefaultClassify
	if classify != nil {
		judge = func(err error) resilient.Class {
			if c := classify(err); c != resilient.OK {
				return c
			}
			return resilient.DefaultClassify(err)
		}
	}
	f.Fuzz(func(t *testing.T, script []byte, text string) {
		if len(script) > 64 { // deeper trees say nothing new
			return
		}
		var leaves []error
		if own != nil {
			leaves = own(text)
		}
		build(script, text, leaves, func(made node, of ...node) {
			checkClass(t, judge, classify == nil, made, of)
		})
	})
}

// checkClass checks what judge says of made. alone says that judge knows no
// driver.
func checkClass(t require.TestingT, judge func(error) resilient.Class, alone bool, made node, of []node) {
	class := judge(made.err)
	require.Contains(t, []resilient.Class{resilient.Missing, resilient.Invalid, resilient.Conflict, resilient.Refused, resilient.Failed}, class,
		"%#v: an error is no success, and who ended a call is not in its error", made.err)
	if made.unknown {
		require.Equal(t, resilient.Failed, class, "%#v: nothing is known of it", made.err)
	}
	if errors.Is(made.err, resilient.ErrAmbiguous) && !errors.Is(made.err, resilient.ErrNotFound) {
		require.Equal(t, resilient.Failed, class, "%#v: it may have been applied", made.err)
	}
	if len(of) == 0 {
		return
	}
	var stated *resilient.Error
	if errors.As(made.err, &stated) {
		return // its class is its own
	}
	classes := []resilient.Class{resilient.Failed}
	for _, part := range made.parts {
		classes = append(classes, judge(part))
	}
	require.Contains(t, classes, class, "%#v: no part of it says so", made.err)
	if len(of) == 1 {
		require.Equal(t, judge(of[0].err), class, "%#v: wrapping changes nothing", made.err)
	}
	if alone && made.plain && slices.ContainsFunc(of, func(o node) bool { return judge(o.err) == resilient.Failed }) {
		require.NotEqual(t, resilient.Refused, class, "%#v: one try may have been applied, whatever became of another", made.err)
	}
}
