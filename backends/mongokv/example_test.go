package mongokv_test

import (
	"context"
	"fmt"
	"log"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/holdfastkv/holdfast/backends/mongokv"
)

// A server is needed, so this is compiled and not run.
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

func ExampleNew() {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://localhost:27017/app"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	kv, err := mongokv.New(client, mongokv.Config{Database: "app", Namespace: "sessions"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // client is still connected
	// Output: 512 <nil>
}
