package mongokv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holdfastkv/holdfast/backends/mongokv"
)

func ExampleOpen() {
	ctx := context.Background()
	kv, err := mongokv.Open("mongodb://user:password@db1,db2,db3/app?replicaSet=rs0&tls=true", mongokv.Config{
		Namespace:  "sessions",
		RequireTLS: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	if err := kv.SetRaw(ctx, "user/42", []byte("Ada")); err != nil {
		log.Fatal(err)
	}
	value, err := kv.GetRaw(ctx, "user/42")
	fmt.Println(string(value), err)
}
