package consulkv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/consulkv"
)

// A server is needed, so this is compiled and not run.
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

func ExampleNew() {
	client, err := api.NewClient(&api.Config{Address: "https://consul.example.com:8501", Datacenter: "fra"})
	if err != nil {
		log.Fatal(err)
	}
	kv, err := consulkv.New(client, consulkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // nothing was sent yet
	// Output: 512 <nil>
}
