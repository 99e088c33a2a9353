package main

import (
	"cmp"
	"fmt"
	"slices"

	"onhand/bench/loadgen"
)

// row is one line of the table: a variant beside its floor.
type row struct {
	name   string  // of the row; made from the variants when empty
	ours   string  // the variant that is measured; Onhand when empty
	beside string  // the variant that it is compared with
	aim    float64 // 0: none, the row has no verdict
	atMost bool    // the ratio must not be above the aim; otherwise not below
	// of picks the figure; reservations per second when nil.
	of   func(loadgen.Measurement) float64
	unit string
}

func perSecond(m loadgen.Measurement) float64  { return m.PerSecond }
func p99Millis(m loadgen.Measurement) float64  { return m.P99.Seconds() * 1000 }
func p50Seconds(m loadgen.Measurement) float64 { return m.P50.Seconds() }

// withDefaults fills in what a row leaves out.
func (r row) withDefaults() row {
	if r.name == "" && r.ours == "" {
		r.name = "beside " + r.beside
	} else if r.name == "" {
		r.name = r.ours + " beside " + r.beside
	}
	if r.ours == "" {
		r.ours = onhand
	}
	if r.of == nil {
		r.of = perSecond
	}
	if r.unit == "" {
		r.unit = "reservations/s"
	}
	return r
}

// full is the row's name in the table and in the results.
func (r row) full(w workload) string { return w.name + ": " + r.name }

// round is what each variant measured in one round, by its name.
type round map[string]loadgen.Measurement

// result is a row with its figures, as bench/results.json has it.
type result struct {
	Row    string  `json:"row"`
	Ratio  float64 `json:"ratio"`
	Aim    string  `json:"aim,omitempty"`
	Met    *bool   `json:"met,omitempty"` // nil without an aim
	Ours   float64 `json:"ours"`
	Beside float64 `json:"beside"`
	Unit   string  `json:"unit"`
}

// result sums up the rounds.
func (r row) result(w workload, rounds []round) result {
	var ours, beside, ratios []float64
	for _, one := range rounds {
		m, b := r.of(one[r.ours]), r.of(one[r.beside])
		ours, beside, ratios = append(ours, m), append(beside, b), append(ratios, m/max(b, 1e-9))
	}
	ratio := median(ratios)
	out := result{Row: r.full(w), Ratio: tidy(ratio), Ours: tidy(median(ours)), Beside: tidy(median(beside)), Unit: r.unit}
	if r.aim == 0 {
		return out
	}
	met := ratio >= r.aim
	out.Aim = fmt.Sprintf("≥ %g", r.aim)
	if r.atMost {
		met = ratio <= r.aim
		out.Aim = fmt.Sprintf("≤ %g", r.aim)
	}
	out.Met = &met
	return out
}

// middle has one result for each row: of the runs that measured it, the one with the middle ratio. The order is that of
// the first run.
func middle(runs []result) []result {
	byRow := map[string][]result{}
	var rows []string
	for _, r := range runs {
		if byRow[r.Row] == nil {
			rows = append(rows, r.Row)
		}
		byRow[r.Row] = append(byRow[r.Row], r)
	}
	results := []result{}
	for _, row := range rows {
		list := byRow[row]
		slices.SortStableFunc(list, func(a, b result) int { return cmp.Compare(a.Ratio, b.Ratio) })
		results = append(results, list[len(list)/2])
	}
	return results
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// tidy keeps three digits or so: more would pretend a precision that is not there.
func tidy(v float64) float64 {
	for scale := 1.0; ; scale *= 10 {
		if v*scale >= 100 || scale == 1e6 {
			return float64(int(v*scale+0.5)) / scale
		}
	}
}
