package mysqlkv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holdfastkv/holdfast/backends/mysqlkv"
)

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
