package badgerkv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
)

func ExampleOpen() {
	parent, err := os.MkdirTemp("", "badgerkv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(parent)

	ctx := context.Background()
	kv, err := badgerkv.Open(filepath.Join(parent, "store"), badgerkv.Config{Namespace: "sessions"})
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

func ExampleNew() {
	dir, err := os.MkdirTemp("", "badgerkv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	kv, err := badgerkv.New(db, badgerkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.SetRaw(context.Background(), "user/42", []byte("Ada")))
	fmt.Println(kv.Close(), db.IsClosed())
	// Output:
	// <nil>
	// <nil> false
}
