package resilient_test

import (
	"testing"

	"github.com/holdfastkv/holdfast/internal/classtest"
)

func FuzzDefaultClassify(f *testing.F) { classtest.Fuzz(f, nil, nil) }
