package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

const clients = 8

func concurrencyCases(can abilities) []testCase {
	cases := []testCase{
		{"ParallelSetGetDelete_SameKey", sameKey},
		{"ParallelDistinctKeys", distinctKeys},
	}
	return append(cases, when(can.batcher, testCase{"ReadersDuringBatchSet", readersDuringBatchSet})...)
}

// stamp is a value that tells who wrote it as which of its writes: a kilobyte, so
// that a torn one shows.
func stamp(client, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%02d%06d", client, n), 128)
}

// readStamp returns who wrote value; an error if it is not whole.
func readStamp(value []byte) (client, n int, err error) {
	if len(value) != 1024 {
		return 0, 0, fmt.Errorf("a value of %d bytes that nobody wrote", len(value))
	}
	c, err1 := strconv.ParseUint(string(value[:2]), 10, 8)
	w, err2 := strconv.ParseUint(string(value[2:8]), 10, 32)
	if err1 != nil || err2 != nil {
		return 0, 0, errors.New("a value that nobody wrote")
	}
	if !bytes.Equal(value[8:], value[:len(value)-8]) { // eight bytes again and again
		return 0, 0, errors.New("a value made of two")
	}
	return int(c), int(w), nil
}

// yield lets others go first after a read. One that is answered from memory never
// waits, and readers that do nothing else leave a writer, who has to wait for
// somebody at each step, a turn every 10 ms.
func yield() { runtime.Gosched() }

// together runs fn once for each client and returns all errors.
func (e *env) together(what string, fn func(client int) error) {
	e.Helper()
	err := e.finishes(what, func() error {
		var wg sync.WaitGroup
		errs := make([]error, clients)
		start := make(chan struct{})
		for g := range errs {
			wg.Go(func() {
				<-start
				errs[g] = fn(g)
			})
		}
		close(start)
		wg.Wait()
		return errors.Join(errs...)
	})
	require.NoError(e, err)
}

// sameKey has half of the clients write, read and delete one key while the
// others only read it. Each value that is read was written, by somebody who had
// begun to write it.
func sameKey(e *env) {
	s := e.open()
	ctx := e.Context()
	var begun [clients]atomic.Int64
	var left atomic.Int64
	left.Store(clients / 2)
	read := func() error {
		value, err := s.kv.GetRaw(ctx, "key")
		if errors.Is(err, resilient.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = written(value, &begun)
		}
		if err != nil {
			return fmt.Errorf("GetRaw: %w", err)
		}
		return nil
	}
	write := func(g, i int) error {
		begun[g].Store(int64(i))
		if err := s.kv.SetRaw(ctx, "key", stamp(g, i)); err != nil {
			return fmt.Errorf("SetRaw: %w", err)
		}
		if err := read(); err != nil || i%5 != g%5 {
			return err
		}
		if err := s.kv.Delete(ctx, "key"); err != nil {
			return fmt.Errorf("Delete: %w", err)
		}
		return nil
	}
	rounds := e.size(100, 40)
	e.together("clients on one key", func(g int) error {
		if g >= clients/2 {
			for left.Load() > 0 {
				if err := read(); err != nil {
					return err
				}
				yield()
			}
			return nil
		}
		defer left.Add(-1)
		for i := 1; i <= rounds; i++ {
			if err := write(g, i); err != nil {
				return err
			}
		}
		return nil
	})
	s.set("key", stamp(0, 999))
	s.holds("key", stamp(0, 999))
	require.Equal(e, []string{"key"}, s.list(""))
}

func written(value []byte, begun *[clients]atomic.Int64) error {
	client, n, err := readStamp(value)
	if err != nil {
		return err
	}
	if client >= clients || n < 1 || int64(n) > begun[client].Load() {
		return fmt.Errorf("write %d of client %d, which has not begun", n, client)
	}
	return nil
}

// distinctKeys gives each client keys of its own, on which it sees nobody else.
func distinctKeys(e *env) {
	s := e.open()
	ctx := e.Context()
	rounds := e.size(40, 12)
	e.together("clients on keys of their own", func(g int) error {
		for i := range rounds {
			key := fmt.Sprintf("%d/%d", g, i%5)
			if err := s.kv.SetRaw(ctx, key, stamp(g, i)); err != nil {
				return fmt.Errorf("SetRaw: %w", err)
			}
			value, err := s.kv.GetRaw(ctx, key)
			if err != nil {
				return fmt.Errorf("GetRaw: %w", err)
			}
			if !bytes.Equal(value, stamp(g, i)) {
				return errors.New("GetRaw: not what this client wrote last")
			}
			if i%5 != 4 {
				continue
			}
			if err := s.kv.Delete(ctx, key); err != nil {
				return fmt.Errorf("Delete: %w", err)
			}
			if _, err := s.kv.GetRaw(ctx, key); !errors.Is(err, resilient.ErrNotFound) {
				return fmt.Errorf("GetRaw after Delete: %w", err)
			}
		}
		return nil
	})
	require.Len(e, s.list(""), clients*4)
}

// readersDuringBatchSet reads by every way while batches are written: all keys
// are always there, each with a value that is whole.
func readersDuringBatchSet(e *env) {
	s := e.open()
	ctx := e.Context()
	const keys = 20
	all := make([]string, keys)
	batch := func(client, n int) map[string][]byte {
		kv := make(map[string][]byte, keys)
		for i := range all {
			all[i] = fmt.Sprintf("k%02d", i)
			kv[all[i]] = stamp(client, n)
		}
		return kv
	}
	s.batchSet(batch(0, 0))
	batches := make([]map[string][]byte, e.size(40, 12))
	for n := range batches {
		batches[n] = batch(n%clients, n+1)
	}
	var left atomic.Int64
	left.Store(clients / 2)
	e.together("readers and writers of batches", func(g int) error {
		if g%2 == 0 {
			defer left.Add(-1)
			for _, b := range batches {
				if err := s.batch.BatchSetRaw(ctx, b); err != nil {
					return fmt.Errorf("BatchSetRaw: %w", err)
				}
			}
			return nil
		}
		for left.Load() > 0 {
			if err := s.readAll(ctx, all); err != nil {
				return err
			}
			yield()
		}
		return nil
	})
}

// readAll reads keys, all of which are there, by every way.
func (s *store) readAll(ctx context.Context, keys []string) error {
	values, err := s.batch.BatchGetRaw(ctx, keys)
	if err != nil {
		return fmt.Errorf("BatchGetRaw: %w", err)
	}
	if len(values) != len(keys) {
		return fmt.Errorf("BatchGetRaw: %d of %d keys", len(values), len(keys))
	}
	value, err := s.kv.GetRaw(ctx, keys[0])
	if err != nil {
		return fmt.Errorf("GetRaw: %w", err)
	}
	values["by GetRaw"] = value
	for _, value := range values {
		if _, _, err := readStamp(value); err != nil {
			return err
		}
	}
	listed, err := s.kv.List(ctx, "k")
	if err == nil && len(listed) != len(keys) {
		err = fmt.Errorf("%d of %d keys", len(listed), len(keys))
	}
	if err != nil {
		return fmt.Errorf("List: %w", err)
	}
	return nil
}
