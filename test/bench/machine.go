package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// compared are the modules whose versions the page names.
var compared = []string{
	"github.com/sony/gobreaker/v2", "github.com/failsafe-go/failsafe-go", "github.com/eapache/go-resiliency",
	"go.etcd.io/bbolt", "github.com/dgraph-io/badger/v4", "github.com/redis/go-redis/v9", "github.com/jackc/pgx/v5",
	"github.com/prometheus/client_golang",
}

// machineName says where the figures come from.
func machineName() string {
	return fmt.Sprintf("%s, %d cores, %s %s/%s", processor(), runtime.NumCPU(), strings.Replace(runtime.Version(), "go", "Go ", 1), runtime.GOOS, runtime.GOARCH)
}

// machine writes what the run was made on and with.
func (b *bench) machine(d *document) {
	var versions []string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if slices.Contains(compared, dep.Path) {
				versions = append(versions, fmt.Sprintf("%s %s", strings.TrimPrefix(dep.Path, "github.com/"), dep.Version))
			}
		}
	}
	d.write(fmt.Sprintf("Machine: %s; load %s at the start of the run and %s at its end.", machineName(), b.load, load()),
		fmt.Sprintf("Modules: %s.", strings.Join(versions, ", ")),
		fmt.Sprintf("%d rounds of %v for each way of a comparison, where nothing else is said.", b.rounds, b.slice))
}

// processor returns the model of the CPU; "" if the system does not tell.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		name, model, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

// load returns how many processes wanted to run during the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
