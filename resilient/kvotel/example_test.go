package kvotel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
)

func ExampleObserver_Watch() {
	reader := metric.NewManualReader()
	observer, err := kvotel.New(metric.NewMeterProvider(metric.WithReader(reader))) // or otel.GetMeterProvider()
	if err != nil {
		panic(err)
	}
	kv, _ := memkv.New(memkv.Config{})
	store, err := resilient.Wrap(kv, resilient.Config{Name: "orders", Observer: observer})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	observer.Watch(store)
	_ = store.SetRaw(context.Background(), "42", []byte("two shirts"))

	var collected metricdata.ResourceMetrics
	_ = reader.Collect(context.Background(), &collected)
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "holdfast.operation.duration" {
			fmt.Println(h.DataPoints[0].Attributes.Encoded(attribute.DefaultEncoder()), h.DataPoints[0].Count)
		}
	}
	// Output:
	// holdfast.backend=orders,holdfast.operation=set,holdfast.outcome=ok 1
}
