package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// build is what is known of this program.
type build struct{ version, revision string }

// buildOf returns what the go command wrote into the program.
func buildOf() build {
	b := build{version: "(devel)", revision: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.revision = setting.Value
		}
	}
	return b
}

// BuildInfo is a metric that says which build this is.
func BuildInfo() prometheus.Collector {
	b := buildOf()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "onhand_build_info", Help: "1, with the version and revision of this build and the version of Go.",
		ConstLabels: prometheus.Labels{"version": b.version, "revision": b.revision, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}
