package postgreskv

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/classtest"
	"github.com/holdfastkv/holdfast/resilient"
)

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		state := func(code string) error { return &pgconn.PgError{Code: code, Message: text} }
		return []error{
			state(text), state("40001"), state("40P01"), state("25006"), state("57P01"), state("53100"), state("22021"), state("40003"),
			state("08007"), state("XX000"), state("42501"), pgconn.ErrConnClosed, pgx.ErrTxCommitRollback,
			explain(context.Background(), resilient.Conflict, true, state("40001")), explain(context.Background(), resilient.Failed, true, io.EOF),
			&failure{text, errors.New(text)},
		}
	})
}

// URLs that are taken are not opened if they want connections in reserve: the
// pool would dial them.
func FuzzNoURLIsShown(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		url := before + "SECRET" + after
		if strings.Contains(url, "pool_min") {
			return
		}
		kv, err := Open(url, Config{})
		if err == nil {
			secretless(t, kv.cfg, "SECRET")
			require.NoError(t, kv.Close())
			return
		}
		require.Nil(t, kv)
		secretless(t, err, "SECRET")
		var parse *pgconn.ParseConfigError
		require.False(t, errors.As(err, &parse), "it has the URL in a field")
	})
}
