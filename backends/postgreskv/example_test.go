package postgreskv_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/holdfastkv/holdfast/backends/postgreskv"
)

func ExampleOpen() {
	// postgres://app:...@db1,db2/app?target_session_attrs=read-write&sslmode=verify-full
	kv, err := postgreskv.Open(os.Getenv("DATABASE_URL"), postgreskv.Config{
		Namespace:  "app.sessions",
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
