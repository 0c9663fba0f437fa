package etcdkv_test

import (
	"context"
	"fmt"
	"log"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"

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

func ExampleNew() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"localhost:2379"}, MaxUnaryRetries: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	kv, err := etcdkv.New(client, etcdkv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // nothing was sent yet, and client is still open
	// Output: 512 <nil>
}
