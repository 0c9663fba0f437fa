package consulkv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holdfastkv/holdfast/backends/consulkv"
)

func ExampleOpen() {
	ctx := context.Background()
	kv, err := consulkv.Open("127.0.0.1:8500", consulkv.Config{Namespace: "sessions"})
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
}
