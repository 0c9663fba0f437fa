package mysqlkv

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/classtest"
)

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		return []error{
			&mysql.MySQLError{Number: uint16(len(text)) + 1000, Message: text}, &mysql.MySQLError{Number: 1213, Message: text},
			&mysql.MySQLError{Number: 1290, Message: text}, &mysql.MySQLError{Number: 1180, Message: text}, &mysql.MySQLError{Number: 1406, Message: text},
			driver.ErrBadConn, sql.ErrConnDone, mysql.ErrInvalidConn, mysql.ErrPktTooLarge, mysql.ErrMalformPkt, io.ErrShortWrite,
			before(connecting, dial), before(preparing, errors.New(text)), before(meeting, &mysql.MySQLError{Number: 1213}), errNoFree,
			printable(&mysql.MySQLError{Number: 1053, Message: text}),
		}
	})
}

func FuzzNoDSNIsShown(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		kv, err := Open(before+"SECRET"+after, Config{})
		if err == nil {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", kv.cfg, kv.cfg, kv.cfg), "SECRET")
			require.NoError(t, kv.Close())
			return
		}
		require.Nil(t, kv)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "SECRET")
	})
}
