package boltjournal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// allocated returns how many bytes the process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// damaging changes b: each eight bytes of script are a place and what happens
// there.
func damaging(b, script []byte) []byte {
	for ; len(script) >= 8 && len(b) > 0; script = script[8:] {
		at := int(binary.LittleEndian.Uint32(script) % uint32(len(b)))
		from := int(binary.LittleEndian.Uint16(script[6:])) * 16 % len(b)
		length := 1 + int(script[5])
		switch script[4] % 6 {
		case 0:
			b[at] ^= script[5] | 1
		case 1: // sectors that were lost
			clear(b[at/512*512 : min(len(b), at/512*512+length*512)])
		case 2:
			copy(b[at:min(len(b), at+length)], b[from:])
		case 3: // a page in another's place
			size := os.Getpagesize()
			copy(b[at/size*size:min(len(b), at/size*size+size)], b[from/size*size:])
		case 4:
			copy(b[at:], script[5:8])
		default:
			b = b[:at]
		}
	}
	return b
}

func FuzzDamage(f *testing.F) {
	small, before := used(f, 5)
	large, _ := used(f, 300)
	files := [][]byte{small, before, large}
	var wants []*contents
	for _, file := range files {
		want, err := readBytes(file)
		require.NoError(f, err)
		wants = append(wants, want)
	}
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		if len(script) > 512 {
			return
		}
		i := int(which) % len(files)
		b := damaging(bytes.Clone(files[i]), script)
		start := allocated()
		if !intactOrAnError(t, wants[i], b, "") {
			require.NotEmpty(t, b)
		}
		require.LessOrEqual(t, allocated()-start, uint64(8*len(b)+1<<20), "the file's size bounds the memory")
	})
}

func FuzzAnyFileIsReadOrRefused(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		start := allocated()
		_, err := readBytes(file)
		require.Error(t, err, "nobody writes a journal by chance")
		require.LessOrEqual(t, allocated()-start, uint64(8*len(file)+1<<20))
	})
}

func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, key, b []byte) {
		if _, err := decodeItem(key, b); err == nil {
			require.Equal(t, b, sealedAgain(key, b), "its checksum is right")
		}
		start := allocated()
		if len(b) < 4 {
			_, err := decodeItem(key, b)
			require.ErrorIs(t, err, errShort)
			return
		}
		good := sealedAgain(key, b)
		if it, err := decodeItem(key, good); err == nil {
			require.Equal(t, string(key), it.rec.Key)
			if again := it.sealed().encode(); it.rec.Delete || it.rec.Owed == 0 {
				require.Equal(t, good[4:recordHead], again[4:], "all but a value that nobody is owed")
			} else {
				require.Equal(t, good, again)
				require.NotNil(t, it.rec.Value)
			}
		} else {
			require.True(t, err == errShort || err == errUnknown, "%v", err)
		}
		n, err := decodeNote(key, good)
		require.NoError(t, err)
		require.Equal(t, good, n.encode())
		if h, err := decodeHead(sealedAgain(headKey, b)); err == nil {
			again, err := decodeHead(h.encode())
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
		require.LessOrEqual(t, allocated()-start, uint64(64*len(b)+1<<20))
	})
}

func FuzzWhatWasPutComesBack(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte, name string, value []byte) {
		if len(script) > 60 || len(name) > 1000 || len(value) > 1<<16 {
			return
		}
		j, _ := open(t, newPath(t), Config{NoSync: true})
		want, notes := map[string]failover.Record{}, map[string][]byte{}
		for i := 0; i+1 < len(script); i += 2 {
			op, seq := script[i], uint64(script[i+1])
			key := fmt.Sprint(op>>6, name)
			switch op & 7 {
			case 0, 1, 2:
				r := failover.Record{
					Key: key, Owed: failover.Members(op >> 3 & 3), Remove: failover.Members(op >> 4 & 3), Intent: op&32 != 0, Seq: seq,
				}
				if r.Delete = op&7 == 1; !r.Delete && r.Owed != 0 {
					r.Value = append([]byte{}, value[:min(len(value), int(seq)*8)]...)
				}
				require.NoError(t, j.Put(r))
				want[key] = r
				if r.Empty() {
					delete(want, key)
				}
			case 3:
				require.NoError(t, j.Forget(failover.Record{Key: key, Seq: seq}))
				if r, ok := want[key]; ok && r.Seq <= seq {
					delete(want, key)
				}
			case 4:
				require.NoError(t, j.Note(key, value[:min(len(value), int(seq))]))
				notes[key] = append([]byte{}, value[:min(len(value), int(seq))]...)
				if value == nil {
					delete(notes, key)
				}
			case 5:
				require.NoError(t, j.Note(key, nil))
				delete(notes, key)
			default: // the next process
				j = comesBack(t, j, want, notes, op&8 != 0)
			}
		}
		j = comesBack(t, j, want, notes, true)
		require.NoError(t, j.Close(true))
	})
}

// comesBack closes j and checks what the next one at its path has.
func comesBack(t *testing.T, j *journal, want map[string]failover.Record, notes map[string][]byte, clean bool) *journal {
	t.Helper()
	require.NoError(t, j.Close(clean))
	j, left := open(t, j.path, Config{NoSync: true})
	require.Equal(t, clean, left.Clean)
	found := map[string]failover.Record{}
	for _, r := range left.Records {
		found[r.Key] = r
	}
	require.Len(t, left.Records, len(found))
	require.Equal(t, want, found)
	require.Equal(t, notes, left.Notes)
	return j
}
