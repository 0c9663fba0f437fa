package memkv_test

import (
	"context"
	"fmt"

	"github.com/holdfastkv/holdfast/backends/memkv"
)

func ExampleNew() {
	kv, err := memkv.New(memkv.Config{MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer kv.Close()

	ctx := context.Background()
	if err := kv.SetRaw(ctx, "user:1", []byte("Ada")); err != nil {
		fmt.Println(err)
		return
	}
	value, err := kv.GetRaw(ctx, "user:1")
	fmt.Println(string(value), err)
	// Output: Ada <nil>
}
