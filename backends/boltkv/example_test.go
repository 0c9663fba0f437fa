package boltkv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

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

func ExampleNew() {
	dir, err := os.MkdirTemp("", "boltkv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := bbolt.Open(filepath.Join(dir, "app.db"), 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	users, err := boltkv.New(db, boltkv.Config{Namespace: "users"})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := boltkv.New(db, boltkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(users.SetRaw(context.Background(), "42", []byte("Ada")))
	fmt.Println(sessions.List(context.Background(), ""))
	fmt.Println(users.Close(), sessions.Close(), db.IsReadOnly()) // db is still open
	// Output:
	// <nil>
	// [] <nil>
	// <nil> <nil> false
}
