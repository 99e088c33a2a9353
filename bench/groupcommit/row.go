package main

import (
	"onhand/bench/results"
)

type (
	row    = results.Row
	round  = results.Round
	result = results.Result
)

var (
	p99Millis  = results.P99Millis
	p50Seconds = results.P50Seconds
)

// withDefaults fills in what a row leaves out.
func withDefaults(r row) row {
	if r.Name == "" && r.Ours == "" {
		r.Name = "beside " + r.Beside
	}
	if r.Ours == "" {
		r.Ours = onhand
	}
	if r.Of == nil {
		r.Of = results.PerSecond
	}
	if r.Unit == "" {
		r.Unit = "reservations/s"
	}
	return r.Named()
}
