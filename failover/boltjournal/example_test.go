package boltjournal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
)

// Example lets a process end while a write is owed. The next one knows it, and
// hands it back a few seconds after its start, when nothing of the earlier one
// can be on its way any more. In between the journal can be looked into.
func Example() {
	dir, err := os.MkdirTemp("", "boltjournal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "owed.db")
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	defer first.Close()
	defer second.Close()
	start := func() *failover.KV {
		journal, err := boltjournal.Open(path, boltjournal.Config{})
		if err != nil {
			panic(err)
		}
		group, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true, Journal: journal},
			resilient.KeepOpen(first), resilient.KeepOpen(second))
		if err != nil {
			panic(err)
		}
		return group
	}
	ctx := context.Background()

	group := start()
	_ = group.Drain("mem")
	fmt.Println(group.SetRaw(ctx, "ada", []byte("1815")), group.Owed())
	fmt.Println(group.Close()) // nothing is lost: the journal has it

	report, err := boltjournal.Inspect(path, boltjournal.Config{})
	fmt.Println(report.Keys, report.Clean, report.Owing, err)

	group = start()
	fmt.Println(group.Owed())
	value, err := group.GetRaw(ctx, "ada") // not from the member that lacks it
	fmt.Println(string(value), err)
	fmt.Println(group.Close())
	// Output:
	// <nil> map[mem:1]
	// <nil>
	// 1 true [{mem 1 0} {mem-2 0 0}] <nil>
	// map[mem:1]
	// 1815 <nil>
	// <nil>
}

func ExampleDiscard() {
	dir, err := os.MkdirTemp("", "boltjournal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "owed.db")
	journal, err := boltjournal.Open(path, boltjournal.Config{})
	if err != nil {
		panic(err)
	}
	first, _ := memkv.New(memkv.Config{})
	old, _ := memkv.New(memkv.Config{})
	group, err := failover.New(failover.Config{Writes: failover.Mirror, Journal: journal}, first, old)
	if err != nil {
		panic(err)
	}
	_ = group.Drain("mem-2")
	_ = group.SetRaw(context.Background(), "ada", []byte("1815"))
	_ = group.Close()

	// mem-2 has left the group for good: a group without it refuses to open the
	// journal until what it is owed is given up.
	fmt.Println(boltjournal.Discard(path, "mem-2", boltjournal.Config{}))
	// Output: 1 <nil>
}
