package linear

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestAHistoryIsRightOrWrong(t *testing.T) {
	write := func(h *History, value string, err error) { h.Begin(1, nil).Wrote(err, In{Write, "k", value}) }
	read := func(h *History, value string, err error) {
		h.Begin(2, nil).Read(In{Op: Read, Key: "k"}, []byte(value), err)
	}
	for name, c := range map[string]struct {
		play  func(h *History)
		wrong string
	}{
		"what was written is read": {func(h *History) {
			write(h, "1", nil)
			read(h, "1", nil)
			h.Begin(1, nil).Wrote(nil, In{Op: Delete, Key: "k"})
			read(h, "", resilient.ErrNotFound)
		}, ""},
		"a lost write": {func(h *History) {
			write(h, "1", nil)
			read(h, "", resilient.ErrNotFound)
		}, "client  2 r k"},
		"an old value": {func(h *History) {
			write(h, "1", nil)
			write(h, "2", nil)
			read(h, "1", nil)
		}, "client  2 r k"},
		"a value that returns": {func(h *History) {
			write(h, "1", nil)
			write(h, "2", nil)
			read(h, "2", nil)
			h.Final("k", "1", true, h.Now())
		}, "client 99 r k"},
		"an ambiguous write that came late": {func(h *History) {
			write(h, "1", nil)
			write(h, "2", resilient.ErrAmbiguous)
			read(h, "1", nil)
			read(h, "2", nil)
		}, ""},
		"an ambiguous write that went away again": {func(h *History) {
			write(h, "1", nil)
			write(h, "2", resilient.ErrAmbiguous)
			read(h, "2", nil)
			read(h, "1", nil)
		}, "client  2 r k"},
		"a refused write that is read": {func(h *History) {
			write(h, "1", resilient.ErrRefused)
			read(h, "1", nil)
		}, "a refused value was read"},
		"an error without a class": {func(h *History) { write(h, "1", fmt.Errorf("what")) }, "without a class"},
		"an answer that nobody heard": {func(h *History) {
			h.Begin(1, func() bool { return true }).Wrote(nil, In{Write, "k", "1"})
			read(h, "", resilient.ErrNotFound)
		}, ""},
		"calls of another process, noted late": {func(h *History) {
			now := time.Now()
			at := func(ms int) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }
			h.Past(2, at(3), at(4)).Read(In{Op: Read, Key: "k"}, []byte("2"), nil)
			h.Past(1, at(0), at(2)).Wrote(nil, In{Write, "k", "2"})
			h.Past(1, at(-2), at(-1)).Wrote(nil, In{Write, "k", "1"})
		}, ""},
		"a late read of another process": {func(h *History) {
			now := time.Now()
			at := func(ms int) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }
			h.Past(1, at(0), at(1)).Wrote(nil, In{Write, "k", "1"})
			h.Past(1, at(2), at(3)).Wrote(nil, In{Write, "k", "2"})
			h.Past(2, at(4), at(5)).Read(In{Op: Read, Key: "k"}, []byte("1"), nil)
		}, "client  2 r k"},
		"a crash of a mirror": {func(h *History) {
			h.Loose = true
			write(h, "1", nil)
			write(h, "2", resilient.ErrAmbiguous)
			h.Crashed()
			read(h, "2", nil)
			read(h, "1", nil)
		}, ""},
		"a crash does not make up values": {func(h *History) {
			h.Loose = true
			write(h, "1", nil)
			write(h, "2", nil)
			time.Sleep(time.Millisecond)
			h.Crashed()
			read(h, "1", nil)
		}, "client  2 r k"},
	} {
		h := New()
		c.play(h)
		wrong := h.Check()
		if c.wrong == "" {
			require.Empty(t, wrong, name)
			require.Empty(t, h.WrongKeys(), name)
			continue
		}
		require.Contains(t, wrong, c.wrong, name)
	}
}
