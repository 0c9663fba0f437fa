package kvstatus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
)

func ExamplePage() {
	page := kvstatus.New(kvstatus.Config{Title: "Orders"})
	kv, err := memkv.New(memkv.Config{})
	if err != nil {
		panic(err)
	}
	store, err := resilient.Wrap(kv, resilient.Config{Observer: page})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	page.Watch(store)

	mux := http.NewServeMux()
	mux.Handle("/status/", http.StripPrefix("/status", page))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/status/livez", http.NoBody))
	fmt.Println(answer.Code)
	// Output: 200
}
