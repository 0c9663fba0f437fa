package boltkv

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestS27_ADeletedOrReplacedFileIsUnhealthyAndTakesNoWrites(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"deleted": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			kv, path := open(t, Config{})
			require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
			require.NoError(t, kv.Health(ctx))
			require.NoError(t, damage(path))
			for _, err := range []error{kv.Health(ctx), kv.SetRaw(ctx, "k", nil), kv.Delete(ctx, "k")} {
				require.ErrorIs(t, err, resilient.ErrRefused)
			}
			_, err := kv.GetRaw(ctx, "k")
			require.NoError(t, err)
		})
	}
}

func TestBelowMinFreeWritesAreRefusedAndHealthFails(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{MinFree: 1 << 62})
	for _, err := range []error{kv.Health(ctx), kv.SetRaw(ctx, "k", nil)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorContains(t, err, "bytes free")
	}
	_, err := kv.GetRaw(ctx, "k")
	require.ErrorIs(t, err, resilient.ErrNotFound, "reads go on")
}

func TestAPageThatCannotBeReadIsAnErrorAndNotTheEndOfTheProcess(t *testing.T) {
	ctx := t.Context()
	kv, path := open(t, Config{})
	big := make(map[string][]byte)
	for i := range 500 {
		big[fmt.Sprintf("key %03d", i)] = make([]byte, 4<<10)
	}
	require.NoError(t, kv.BatchSetRaw(ctx, big))
	require.NoError(t, os.Truncate(path, 8<<10)) // reading behind the end of a mapped file is SIGBUS
	_, err := kv.GetRaw(ctx, "key 250")
	require.ErrorIs(t, err, resilient.ErrUnavailable)
	require.NotErrorIs(t, err, resilient.ErrNotFound)
	_, err = kv.List(ctx, "")
	require.ErrorIs(t, err, resilient.ErrUnavailable)
	require.ErrorIs(t, kv.Health(ctx), resilient.ErrUnavailable)
	require.ErrorIs(t, kv.SetRaw(ctx, "key 250", nil), resilient.ErrUnavailable)
}

func TestADatabaseThatItsOwnerClosesIsUnavailable(t *testing.T) {
	ctx := t.Context()
	kv, db := borrow(t, Config{}, nil)
	require.NoError(t, db.Close())
	_, getErr := kv.GetRaw(ctx, "k")
	_, listErr := kv.List(ctx, "")
	for _, err := range []error{getErr, listErr, kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"}), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
		require.Equal(t, resilient.Refused, kv.Classify(err))
	}
}

func TestABucketThatIsGoneIsNotAnEmptyStore(t *testing.T) {
	ctx := t.Context()
	kv, db := borrow(t, Config{}, nil)
	require.NoError(t, kv.SetRaw(ctx, "k", nil))
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(kv.bucket) }))
	_, getErr := kv.GetRaw(ctx, "k")
	for _, err := range []error{getErr, kv.SetRaw(ctx, "k", nil), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorIs(t, err, berrors.ErrBucketNotFound)
	}
}
