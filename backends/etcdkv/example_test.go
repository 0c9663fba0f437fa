package etcdkv_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/holdfastkv/holdfast/backends/etcdkv"
)

// A server is needed, so this is compiled and not run.
func ExampleOpen() {
	ctx := context.Background()
	kv, err := etcdkv.Open([]string{"https://etcd1:2379", "https://etcd2:2379", "https://etcd3:2379"}, etcdkv.Config{
		Namespace:  "sessions",
		Username:   "sessions",
		Password:   os.Getenv("ETCD_PASSWORD"),
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
	fmt.Println(kv.Health(ctx))
}
