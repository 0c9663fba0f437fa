package mysqlkv_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/holdfastkv/holdfast/backends/mysqlkv"
)

// A server is needed, so this is compiled and not run.
func ExampleOpen() {
	kv, err := mysqlkv.Open("app:password@tcp(db.example.com:3306)/app?tls=true", mysqlkv.Config{
		Namespace:  "sessions", // the table
		RequireTLS: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	ctx := context.Background()
	if err := kv.SetRaw(ctx, "user/42", []byte("Ada")); err != nil {
		log.Fatal(err)
	}
	value, err := kv.GetRaw(ctx, "user/42")
	fmt.Println(string(value), err)
	fmt.Println(kv.Health(ctx))
}

func ExampleNew() {
	db, err := sql.Open("mysql", "app@tcp(db.example.com:3306)/app?tls=true")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	kv, err := mysqlkv.New(db, mysqlkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // nothing was sent yet, and db is still open
	// Output: 512 <nil>
}
