package badgerkv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/resilient"
)

// childDir is the variable that makes the test binary fill a disk.
const childDir = "HOLDFAST_BADGERKV_FILL"

// Ways in which fillDisk ends.
const (
	childRefused = 42
	childFailed  = 43
)

// fillDisk writes to a store in dir until that is refused and then expects it
// to be sane: this is what the child process does.
func fillDisk(dir string) int {
	ctx, value := context.Background(), make([]byte, 1<<20)
	kv, err := Open(dir, Config{NoSync: true})
	if err != nil {
		fmt.Println(err)
		return childFailed
	}
	n := 0
	for ; err == nil && n < 10000; n++ {
		_, _ = rand.Read(value) // badger compresses
		err = kv.SetRaw(ctx, fmt.Sprint("key ", n), value)
	}
	if !errors.Is(err, resilient.ErrRefused) || n < 50 {
		fmt.Println("write", n, err)
		return childFailed
	}
	if err := kv.Health(ctx); !errors.Is(err, resilient.ErrRefused) {
		fmt.Println("health", err)
		return childFailed
	}
	got, err := kv.GetRaw(ctx, fmt.Sprint("key ", n-2))
	if err != nil || len(got) != len(value) {
		fmt.Println("read", err)
		return childFailed
	}
	if err := kv.Close(); err != nil {
		fmt.Println("close", err)
		return childFailed
	}
	return childRefused
}
