package boltjournal

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// series is a known series of everything that one can do with a journal. It
// says on standard output, which shows in a trace, before each that it begins
// (T), and after it that it is acknowledged (A) or was refused (F), each with
// its number, and with T what it changes, as JSON.
type series struct {
	path string
	cfg  Config
	j    *journal
	seq  atomic.Uint64
	n    atomic.Int64
}

// contentsOf says what a group is given when it opens a journal. A file that
// is not there gives what a new journal does.
func contentsOf(r failover.Recovery) changes {
	c := changes{"clean": fmt.Sprint(r.Clean)}
	for _, rec := range r.Records {
		c["record "+rec.Key] = describe(rec)
	}
	for name, fact := range r.Notes {
		c["note "+name] = string(fact)
	}
	return c
}

// describe tells records apart.
func describe(r failover.Record) string {
	return fmt.Sprint(r.Seq, r.Owed, r.Remove, r.Delete, r.Intent, len(r.Value), crc32.ChecksumIEEE(r.Value))
}

// do does one operation and reports whether it was acknowledged.
func (s *series) do(c changes, op func() error) bool {
	n := s.n.Add(1)
	text, err := json.Marshal(c)
	s.must(err)
	s.say("T", n, string(text))
	switch err := op(); {
	case err == nil:
		s.say("A", n, "")
		return true
	case errors.Is(err, resilient.ErrRefused):
		s.say("F", n, "")
	}
	return false
}

func (s *series) say(what string, n int64, text string) {
	_, _ = os.Stdout.WriteString(strings.TrimSpace(fmt.Sprint(what, " ", n, " ", text)) + "\n")
}

func (s *series) must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (s *series) open() {
	opened, err := Open(s.path, s.cfg)
	s.must(err)
	s.j = opened.(*journal)
	s.do(changes{"clean": "false"}, func() error {
		_, err := s.j.Open(names)
		s.must(err)
		return nil
	})
}

func (s *series) close(clean bool) {
	c := changes{}
	if clean {
		c["clean"] = "true"
	}
	s.do(c, func() error { s.must(s.j.Close(clean)); return nil })
}

// put puts a record of each key with a value of that size, in one Put.
func (s *series) put(size int, keys ...string) bool {
	c, recs := changes{}, make([]failover.Record, len(keys))
	for i, key := range keys {
		seq := s.seq.Add(1)
		recs[i] = failover.Record{Key: key, Value: make([]byte, size), Owed: memberA, Seq: seq, Intent: seq%3 == 0}
		copy(recs[i].Value, fmt.Sprint(seq))
		c["record "+key] = describe(recs[i])
	}
	return s.do(c, func() error { return s.j.Put(recs...) })
}

func (s *series) forget(keys ...string) {
	c, recs := changes{}, make([]failover.Record, len(keys))
	for i, key := range keys {
		recs[i] = failover.Record{Key: key, Seq: s.seq.Add(1)}
		c["record "+key] = ""
	}
	s.do(c, func() error { return s.j.Forget(recs...) })
}

func (s *series) note(name, fact string) {
	s.do(changes{"note " + name: fact}, func() error {
		if fact == "" {
			return s.j.Note(name, nil)
		}
		return s.j.Note(name, []byte(fact))
	})
}

func key(n int) string { return fmt.Sprint("key ", n) }

// play is the series.
func (s *series) play() {
	s.open()
	for n := range 8 {
		s.put(100, key(n))
	}
	s.put(500, key(2))
	s.put(300, key(20), key(21), key(22), key(3))
	s.note("n", "1")
	s.note("m", "2")
	s.note("n", "3")
	s.note("m", "")
	s.forget(key(1), key(22))
	s.do(changes{"record " + key(4): ""}, func() error { return s.j.Put(failover.Record{Key: key(4), Seq: s.seq.Add(1)}) })
	s.close(true)

	s.open()
	var all sync.WaitGroup
	for w := range 6 { // these share commits
		all.Go(func() {
			for n := range 5 {
				s.put(200*w, key(100+10*w+n), key(110+10*w-1))
				s.put(50, key(100+10*w))
				s.forget(key(100 + 10*w + n))
			}
		})
	}
	all.Wait()
	s.close(false)

	s.open()
	s.put(40<<10, "large") // makes the file longer, and leaves much of it free
	s.put(9<<10, key(5), key(6), key(7))
	s.forget("large")
	for n := range 6 {
		s.put(5<<10, key(n))
	}
	s.faults()
	s.shrink()
	s.put(100, key(1), key(2))
	s.close(true)

	s.leave("what a process left that died while it made a new file")
	s.open()
	s.put(100, key(3))
	s.forget(key(1))
	s.close(true)
}

// faults makes one commit fail for want of space and one for another reason,
// after which the file is made anew.
func (s *series) faults() {
	file := s.j.w.f.f
	kept, err := unix.Dup(int(file.Fd()))
	s.must(err)
	divert := func(to string) {
		other, err := os.OpenFile(to, os.O_RDWR, 0)
		s.must(err)
		s.must(unix.Dup3(int(other.Fd()), int(file.Fd()), 0))
		s.must(other.Close())
	}
	divert("/dev/full")
	s.put(100, key(50))
	s.must(unix.Dup3(kept, int(file.Fd()), 0))
	s.must(unix.Close(kept))
	s.put(100, key(51))
	divert(os.DevNull)
	s.put(100, key(52))
	for !s.put(100, key(53)) { // until there is a new file
		time.Sleep(10 * time.Millisecond)
	}
}

// leave puts a file in the new one's place.
func (s *series) leave(text string) {
	f, err := os.OpenFile(s.path+newSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	s.must(err)
	_, err = f.WriteAt([]byte(text), 0)
	s.must(err)
	s.must(f.Close())
}

// shrink empties a file that is large enough to be replaced.
func (s *series) shrink() {
	s.close(true)
	opened, err := Open(s.path, s.cfg)
	s.must(err)
	var left failover.Recovery
	s.j = opened.(*journal)
	s.do(changes{"clean": "false"}, func() error { left, err = s.j.Open(names); return err })
	s.j.w.shrinkAt = 1
	for len(left.Records) > 0 {
		n := min(7, len(left.Records))
		var keys []string
		for _, rec := range left.Records[:n] {
			keys = append(keys, rec.Key)
		}
		s.forget(keys...)
		left.Records = left.Records[n:]
	}
}

// playSeries plays the series with the journal at path.
func playSeries(path string) {
	s := &series{path: path, cfg: Config{NoSync: os.Getenv(seriesNoSync) != ""}}
	s.play()
}
