package serving

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"onhand/cli/serving/telemetry"
	"onhand/store"
)

// newRegistry has the metrics of Go, of the process, of its build and of the store.
func newRegistry(st *store.Store) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(telemetry.BuildInfo())
	registry.MustRegister(st.Collectors()...)
	return registry
}
