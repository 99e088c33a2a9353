package main

import (
	"context"
	"slices"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/results"
)

// The variants, as rows refer to them.
const (
	onhand         = "Onhand"
	withoutNear    = "Onhand without near cache"
	guarded        = "Onhand with tokens and limits"
	uninstrumented = "Onhand without instrumentation"
	sampled        = "Onhand, 1 of 100 requests traced"
	everyTraced    = "Onhand, every request traced"
	jsonFloor      = "net/http and encoding/json, no store"
	redisFloor     = "net/http and pipelined Redis, hand-written"
	selectFloor    = "net/http and one SELECT each, hand-written"
	staticFloor    = "bare gqlgen, static answer"
	naiveFloor     = "gqlgen with a loader of 1 ms and Redis"
)

// Figures of a round that are no variant.
const (
	databaseReads, oneRead  = "database reads a request", "one"
	quiet, changing         = "quiet", "while reservations change the products"
	reservations, wanted    = "reservations meanwhile", "asked for"
	oldest, stalenessBound  = "the oldest answer", "the bound"
	connections             = 64
	reservationsWanted      = 5_000
	stalenessBoundSeconds   = 1.0
	instrumentedSplit       = 5
	unitRequests, unitMilli = "requests/s", "ms"
	unitCPU                 = "µs of CPU"
)

// workload is a load with its variants and rows.
type workload struct {
	name    string
	callers int
	ask     question
	rows    []results.Row
	// split is how many rounds take the place and the time of one: a ratio close to one needs many. 0 for 1.
	split int
	// measure runs the rounds.
	measure func(context.Context, *readCommand, workload) ([]results.Round, error)
}

// wants reports whether one of the rows needs a variant.
func (w workload) wants(variant string) bool {
	return slices.ContainsFunc(w.rows, func(r results.Row) bool { return r.Ours == variant || r.Beside == variant })
}

// workloads lists everything that is measured, with the aims.
func workloads() []workload {
	list := []workload{
		{name: "typename", callers: connections, ask: typename, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: jsonFloor}, {Ours: onhand, Beside: staticFloor},
		}},
		{name: "stocks three", callers: connections, ask: threeFields, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: staticFloor, Aim: 2.5},
			{Ours: onhand, Beside: redisFloor, Aim: 1.5},
			{Ours: onhand, Beside: jsonFloor, Aim: 0.6},
			{Ours: withoutNear, Beside: naiveFloor, Aim: 1.5},
			{Ours: guarded, Beside: onhand, Aim: 0.9},
		}},
		{name: "stocks ten", callers: connections, ask: tenFields, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: staticFloor, Aim: 2.5},
		}},
		{name: "products by ids", callers: connections, ask: productsByIDs, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: staticFloor, Aim: 2}, {Ours: onhand, Beside: naiveFloor},
		}},
		{name: "products by page", callers: connections, ask: productsByPage, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: staticFloor},
		}},
		{name: "entities", callers: connections, ask: entities, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: staticFloor, Aim: 4}, {Ours: onhand, Beside: naiveFloor},
		}},
		{name: "instrumented", callers: connections, ask: threeFields, measure: measureTracing, split: instrumentedSplit, rows: []results.Row{
			{Ours: onhand, Beside: uninstrumented, Aim: 1.05, AtMost: true, Of: cpuMicros, Unit: unitCPU},
			{Ours: sampled, Beside: onhand, Aim: 1.2, AtMost: true, Of: cpuMicros, Unit: unitCPU},
			{Ours: everyTraced, Beside: onhand, Of: cpuMicros, Unit: unitCPU},
		}},
		{name: "one product", callers: 1, ask: oneProduct, measure: measureTurns, rows: []results.Row{
			{Ours: onhand, Beside: redisFloor, Aim: 1.5, AtMost: true, Of: results.P50Millis, Unit: unitMilli},
			{Ours: withoutNear, Beside: redisFloor, Of: results.P50Millis, Unit: unitMilli},
			{Ours: onhand, Beside: naiveFloor, Of: results.P50Millis, Unit: unitMilli},
		}},
		{name: "cold", callers: connections, ask: threeFields, measure: measureCold, rows: []results.Row{
			{Ours: onhand, Beside: selectFloor, Aim: 1.5},
			{Ours: databaseReads, Beside: oneRead, Aim: 0.5, AtMost: true, Unit: "reads"},
		}},
		{name: "zipf", callers: connections, ask: threeFields, measure: measureZipf, rows: []results.Row{
			{Ours: onhand, Beside: redisFloor, Aim: 1}, {Ours: onhand, Beside: staticFloor},
		}},
		{name: "changing", callers: connections, ask: threeFields, measure: measureChanging, rows: []results.Row{
			{Ours: changing, Beside: quiet, Aim: 0.6},
			{Ours: oldest, Beside: stalenessBound, Aim: 1, AtMost: true, Of: results.P50Seconds, Unit: "s"},
			{Ours: reservations, Beside: wanted, Aim: 0.95, Unit: "reservations/s"},
		}},
	}
	for _, w := range list {
		for i, r := range w.rows {
			if r.Of == nil {
				r.Of = results.PerSecond
			}
			if r.Unit == "" {
				r.Unit = unitRequests
			}
			w.rows[i] = r.Named()
		}
	}
	return list
}

// cpuMicros is the CPU time of the server for a request, in microseconds.
func cpuMicros(m loadgen.Measurement) float64 { return float64(m.CPU) / float64(time.Microsecond) }

// number makes a measurement of a figure that is no variant's.
func number(n float64) loadgen.Measurement { return loadgen.Measurement{PerSecond: n} }
