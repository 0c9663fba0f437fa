package mongokv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// explain makes the error of a call out of the driver's.
func explain(ctx context.Context, writes bool, err error) error {
	return guard.Explain("mongokv", ctx, classOf(err), writes, hide(err))
}

// explainPart is explain for one command of a batch write: if one before it was
// sent, or part of its own documents may have been written, the batch as a
// whole is ambiguous.
func explainPart(ctx context.Context, begun bool, err error) error {
	var partial mongo.WriteException
	if begun || errors.As(err, &partial) {
		return guard.Explain("mongokv", ctx, resilient.Failed, true, hide(err))
	}
	return explain(ctx, true, err)
}

// Classify knows the errors of this package and those of the driver.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	return classOf(err)
}

// classOf returns what the driver's error means; OK = don't know.
func classOf(err error) resilient.Class {
	var u *unmet
	if errors.As(err, &u) {
		return resilient.Refused
	}
	if errors.Is(err, errNotBinary) || errors.Is(err, resilient.ErrValueTooLarge) {
		return resilient.Invalid
	}
	if neverSent(err) {
		return resilient.Refused
	}
	var failed mongo.WriteException
	if errors.As(err, &failed) && failed.WriteConcernError != nil {
		// The primary has applied it, and may have to roll it back.
		return resilient.Failed
	}
	var server mongo.ServerError
	if !errors.As(err, &server) {
		return resilient.OK
	}
	if server.HasErrorLabel("NoWritesPerformed") || server.HasErrorLabel("SystemOverloadedError") {
		return resilient.Refused
	}
	class := resilient.OK
	for _, code := range server.ErrorCodes() {
		known, ok := classes[code]
		if !ok {
			class = resilient.OK
			break
		}
		// Of several the one that leaves most in doubt counts: the classes
		// ascend so.
		class = max(class, known)
	}
	if class == resilient.OK && (mongo.IsNetworkError(err) || mongo.IsTimeout(err)) {
		return resilient.Failed
	}
	return class
}

func hasCode(err error, code int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && server.HasErrorCode(code)
}

// hidden is an error of the driver's without its text: a server's message may
// quote keys and values.
type hidden struct {
	text string
	err  error
}

// hide returns err with a text that is fit to be printed.
func hide(err error) error {
	h := &hidden{text: describe(err), err: err}
	if hasCode(err, 10334) {
		return fmt.Errorf("%w: %w", resilient.ErrValueTooLarge, h)
	}
	return h
}

// Error names the server's codes, or the kind of the fault.
func (h *hidden) Error() string { return h.text }

// GoString keeps the driver's error out of %#v.
func (h *hidden) GoString() string { return fmt.Sprintf("mongokv.hidden(%q)", h.text) }

// Unwrap returns the driver's error, whose text may hold keys and values.
func (h *hidden) Unwrap() error { return h.err }

// describe says what err is without anything that came from outside but the
// server's codes and their names.
func describe(err error) string {
	var (
		early   *unmet
		command mongo.CommandError
		failed  mongo.WriteException
	)
	switch {
	case errors.As(err, &early):
		return early.Error()
	case errors.Is(err, errNotBinary), errors.Is(err, errAnswer), errors.Is(err, errCollation), errors.Is(err, errCapped):
		return err.Error()
	case errors.As(err, &failed):
		return describeWrite(failed)
	case errors.As(err, &command) && command.Code != 0:
		return "the server answers with error " + code(int(command.Code), command.Name)
	}
	return cause(err)
}

func describeWrite(failed mongo.WriteException) string {
	var parts []string
	for _, w := range failed.WriteErrors {
		parts = append(parts, "write error "+code(w.Code, ""))
	}
	parts = slices.Compact(parts)
	if w := failed.WriteConcernError; w != nil {
		parts = append(parts, "write concern error "+code(w.Code, w.Name))
	}
	return "the server answers with " + strings.Join(parts, ", ")
}

func code(number int, name string) string {
	if name == "" {
		return fmt.Sprint(number)
	}
	return fmt.Sprintf("%d (%s)", number, name)
}
