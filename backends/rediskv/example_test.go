package rediskv_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/rediskv"
)

// A server is needed, so this is compiled and not run.
func ExampleOpen() {
	ctx := context.Background()
	kv, err := rediskv.Open("rediss://app:password@cache.example.com:6379/0", rediskv.Config{
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
	fmt.Println(kv.Health(ctx))
}

func ExampleNew() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:            "main",
		SentinelAddrs:         []string{"sentinel-1.example.com:26379", "sentinel-2.example.com:26379"},
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
	})
	defer client.Close()
	kv, err := rediskv.New(client, rediskv.Config{Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // nothing was sent yet, and client is still open
	// Output: 512 <nil>
}
