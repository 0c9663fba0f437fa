package postgreskv_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/holdfastkv/holdfast/backends/postgreskv"
)

// A server is needed, so this is compiled and not run.
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

func ExampleNew() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@db.example.com/app?sslmode=verify-full")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	kv, err := postgreskv.New(pool, postgreskv.Config{Namespace: "sessions", RequireTLS: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kv.Limits().MaxKey, kv.Close()) // nothing was sent yet, and pool is still open
	// Output: 512 <nil>
}
