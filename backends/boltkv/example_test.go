package boltkv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/holdfastkv/holdfast/backends/boltkv"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "boltkv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	kv, err := boltkv.Open(filepath.Join(dir, "store.db"), boltkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	if err := kv.SetRaw(ctx, "user/42", []byte("Ada")); err != nil {
		log.Fatal(err)
	}
	value, err := kv.GetRaw(ctx, "user/42")
	fmt.Println(string(value), err)
	fmt.Println(kv.Health(ctx))
	// Output:
	// Ada <nil>
	// <nil>
}
