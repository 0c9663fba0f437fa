package boltjournal

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// call is one system call in the output of strace -f -xx.
type call struct {
	name string
	args []string // as strace prints them, strings too
	ret  int64
	fail string // the name of its error; "" = it succeeded
}

// step is the begin or the end of a call. Calls of several threads overlap.
type step struct {
	*call
	ends bool
}

// errTrace says that a trace has what this parser does not understand.
var errTrace = errors.New("not understood")

// parseTrace returns the begin and the end of every call, in order. A call
// that the end of its process cut off has a begin only, and the error "cut off".
func parseTrace(r io.Reader) ([]step, error) {
	var steps []step
	begun := map[string]*call{} // by thread
	half := map[string]string{} // what was printed of it
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return steps, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		thread, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		switch {
		case strings.HasPrefix(text, "+++"), strings.HasPrefix(text, "---"): // an end, a signal
			continue
		case strings.HasSuffix(text, " <unfinished ...>"):
			c := &call{fail: "cut off"}
			c.name, _, _ = strings.Cut(text, "(")
			begun[thread], half[thread] = c, strings.TrimSuffix(text, " <unfinished ...>")
			steps = append(steps, step{c, false})
			continue
		}
		c := &call{}
		if rest, ok := strings.CutPrefix(text, "<... "); ok {
			_, rest, ok = strings.Cut(rest, " resumed>")
			if c = begun[thread]; c == nil || !ok {
				return nil, fmt.Errorf("%w: %.200s", errTrace, line)
			}
			delete(begun, thread)
			text = half[thread] + rest
		} else {
			steps = append(steps, step{c, false})
		}
		if err := c.parse(text); err != nil {
			return nil, err
		}
		steps = append(steps, step{c, true})
	}
}

// parse reads a whole line: name(args) = result.
func (c *call) parse(text string) error {
	head, result, ok := cutLast(text, " = ")
	name, args, isCall := strings.Cut(head, "(")
	args, closed := strings.CutSuffix(strings.TrimRight(args, " "), ")")
	if !ok || !isCall || !closed {
		return fmt.Errorf("%w: %.200s", errTrace, text)
	}
	c.name, c.args, c.fail = name, strings.Split(args, ", "), ""
	number, reason, _ := strings.Cut(result, " ")
	if number == "?" {
		c.fail = "cut off"
		return nil
	}
	n, err := strconv.ParseInt(number, 0, 64)
	if err != nil {
		return fmt.Errorf("%w: %.200s", errTrace, text)
	}
	if c.ret = n; n < 0 {
		c.fail, _, _ = strings.Cut(reason, " ")
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// text returns argument i, a string; all of its bytes are in hexadecimal.
func (c *call) text(i int) (string, error) {
	if i >= len(c.args) {
		return "", fmt.Errorf("%w: %s has no argument %d", errTrace, c.name, i)
	}
	quoted, ok := strings.CutPrefix(c.args[i], `"`)
	quoted, closed := strings.CutSuffix(quoted, `"`) // not if strace has cut it short
	if !ok || !closed {
		return "", fmt.Errorf("%w: argument %d of %s is no whole string", errTrace, i, c.name)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(quoted, `\x`, ""))
	if err != nil || len(quoted) != 4*len(b) {
		return "", fmt.Errorf("%w: argument %d of %s is not in hexadecimal", errTrace, i, c.name)
	}
	return string(b), nil
}

// number returns argument i, a number.
func (c *call) number(i int) (int64, error) {
	if i >= len(c.args) {
		return 0, fmt.Errorf("%w: %s has no argument %d", errTrace, c.name, i)
	}
	n, err := strconv.ParseInt(c.args[i], 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: argument %d of %s is no number", errTrace, i, c.name)
	}
	return n, nil
}

func TestATraceIsReadCallByCall(t *testing.T) {
	steps, err := parseTrace(strings.NewReader(`7 openat(AT_FDCWD, "\x2f\x61", O_RDWR|O_CREAT, 0600) = 5
8  pwrite64(5, "\x00\xff", 2, 4096 <unfinished ...>
7 mmap(NULL, 65536, PROT_READ, MAP_SHARED, 5, 0) = 0x7f0000000000
7 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=7, si_uid=0} ---
8 <... pwrite64 resumed>)               = 2
7 fdatasync(9)                          = -1 EINVAL (Invalid argument)
7 fsync(5 <unfinished ...>
8 exit_group(0) = ?
7 +++ exited with 0 +++
`))
	require.NoError(t, err)
	var got []string
	for _, s := range steps {
		got = append(got, fmt.Sprint(s.name, s.args, s.ret, s.fail, s.ends))
	}
	require.Equal(t, []string{
		`openat[AT_FDCWD "\x2f\x61" O_RDWR|O_CREAT 0600] 5false`, `openat[AT_FDCWD "\x2f\x61" O_RDWR|O_CREAT 0600] 5true`,
		`pwrite64[5 "\x00\xff" 2 4096] 2false`,
		`mmap[NULL 65536 PROT_READ MAP_SHARED 5 0] 139637976727552false`, `mmap[NULL 65536 PROT_READ MAP_SHARED 5 0] 139637976727552true`,
		`pwrite64[5 "\x00\xff" 2 4096] 2true`,
		`fdatasync[9] -1EINVALfalse`, `fdatasync[9] -1EINVALtrue`,
		`fsync[] 0cut offfalse`,
		`exit_group[0] 0cut offfalse`, `exit_group[0] 0cut offtrue`,
	}, got)

	path, err := steps[0].text(1)
	require.NoError(t, err)
	require.Equal(t, "/a", path)
	data, err := steps[2].text(1)
	require.NoError(t, err)
	require.Equal(t, "\x00\xff", data)
	at, err := steps[2].number(3)
	require.NoError(t, err)
	require.EqualValues(t, 4096, at)
}

func TestATraceThatIsNotWholeIsAnError(t *testing.T) {
	for _, line := range []string{"7 write(1", "7 <... write resumed>) = 1", "7 write(1) = many", "strace: error"} {
		_, err := parseTrace(strings.NewReader(line + "\n"))
		require.ErrorIs(t, err, errTrace, line)
	}
	c := &call{name: "write", args: []string{"x", `"\x61"...`, `"a"`}}
	for i := range 4 {
		_, err := c.text(i)
		require.ErrorIs(t, err, errTrace)
		_, err = c.number(i)
		require.ErrorIs(t, err, errTrace)
	}
}
