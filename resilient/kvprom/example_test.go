package kvprom_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

func ExampleObserver_Watch() {
	reg := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	observer, err := kvprom.New(reg)
	if err != nil {
		panic(err)
	}
	first, _ := memkv.New(memkv.Config{})
	second, _ := memkv.New(memkv.Config{})
	group, err := failover.New(failover.Config{Name: "orders", Observer: observer}, first, second)
	if err != nil {
		panic(err)
	}
	defer group.Close()
	observer.Watch(group)

	families, _ := reg.Gather() // what promhttp.HandlerFor(reg, ...) serves
	for _, f := range families {
		if f.GetName() == "holdfast_backend_active" {
			for _, m := range f.GetMetric() {
				fmt.Println(m.GetLabel()[0].GetValue(), m.GetGauge().GetValue())
			}
		}
	}
	// Output:
	// mem 1
	// mem-2 0
}
