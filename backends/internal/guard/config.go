package guard

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Default sets a field of a Config that is zero to value.
func Default[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Faults collects all that is wrong with the Config of a package.
type Faults struct {
	pkg  string
	errs []error
}

// NewFaults returns an empty collection whose errors begin with the package's
// name.
func NewFaults(pkg string) *Faults { return &Faults{pkg: pkg} }

// Add adds one fault; format begins with the name of the field.
func (f *Faults) Add(format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf(f.pkg+": Config."+format, args...))
}

// NotNegative adds a fault if the duration of a field is negative.
func (f *Faults) NotNegative(field string, d time.Duration) {
	if d < 0 {
		f.Add("%s is %v, must not be negative", field, d)
	}
}

// AtMost adds a fault if the number of a field is negative or over most.
func (f *Faults) AtMost(field string, n, most int) {
	if n < 0 || n > most {
		f.Add("%s is %d, must be in 0 to %d", field, n, most)
	}
}

// Err returns all faults as one error, nil if there is none.
func (f *Faults) Err() error { return errors.Join(f.errs...) }

// name is one part of a table's name. PostgreSQL cuts names off after 63
// characters, MySQL refuses them after 64.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// TableName returns the parts of a table's name, with or without that of its
// schema or database, and adds a fault if it is no plain name.
func (f *Faults) TableName(field, text string) (parts []string) {
	parts = strings.Split(text, ".")
	for _, part := range parts {
		if len(parts) > 2 || !name.MatchString(part) {
			f.Add("%s must be the name of a table, after that of its schema and a dot if need be: each a letter or underscore and at most 62 letters, digits and underscores", field)
			break
		}
	}
	return parts
}

// Innermost returns the end of err's chain, whose type is safe to print where
// its text is not.
func Innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
