package results

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"onhand/bench/loadgen"
)

// Row is one line of the table: a variant beside its floor.
type Row struct {
	Name   string  // of the row; made from the variants when empty
	Ours   string  // the variant that is measured
	Beside string  // the variant that it is compared with
	Aim    float64 // 0: none, the row has no verdict
	AtMost bool    // the ratio must not be above the aim; otherwise not below
	// Of picks the figure.
	Of   func(loadgen.Measurement) float64
	Unit string
}

// PerSecond is the figure of most rows.
func PerSecond(m loadgen.Measurement) float64 { return m.PerSecond }

// P50Millis is the median latency in milliseconds.
func P50Millis(m loadgen.Measurement) float64 { return m.P50.Seconds() * 1000 }

// P99Millis is the 99th percentile of latencies in milliseconds.
func P99Millis(m loadgen.Measurement) float64 { return m.P99.Seconds() * 1000 }

// P50Seconds is the median latency in seconds.
func P50Seconds(m loadgen.Measurement) float64 { return m.P50.Seconds() }

// Named is the row with the name that its variants make, where it has none.
func (r Row) Named() Row {
	if r.Name == "" {
		r.Name = r.Ours + " beside " + r.Beside
	}
	return r
}

// Full is the row's name in the table and in the file.
func (r Row) Full(workload string) string { return workload + ": " + r.Name }

// Round is what each variant measured in one round, by its name.
type Round map[string]loadgen.Measurement

// Result is a row with its figures, as the file has it.
type Result struct {
	Row   string  `json:"row"`
	Ratio float64 `json:"ratio"`
	// Least and Most are the smallest and the largest ratio of several runs.
	Least  float64 `json:"least,omitempty"`
	Most   float64 `json:"most,omitempty"`
	Aim    string  `json:"aim,omitempty"`
	Met    *bool   `json:"met,omitempty"` // nil without an aim
	Ours   float64 `json:"ours"`
	Beside float64 `json:"beside"`
	Unit   string  `json:"unit"`
}

// Result sums up the rounds.
func (r Row) Result(workload string, rounds []Round) Result {
	var ours, beside, ratios []float64
	for _, one := range rounds {
		m, b := r.Of(one[r.Ours]), r.Of(one[r.Beside])
		ours, beside, ratios = append(ours, m), append(beside, b), append(ratios, m/max(b, 1e-9))
	}
	ratio := median(ratios)
	out := Result{Row: r.Full(workload), Ratio: r.tidyRatio(ratio), Ours: tidy(median(ours)), Beside: tidy(median(beside)), Unit: r.Unit}
	if r.Aim == 0 {
		return out
	}
	met := ratio >= r.Aim
	out.Aim = fmt.Sprintf("≥ %g", r.Aim)
	if r.AtMost {
		met = ratio <= r.Aim
		out.Aim = fmt.Sprintf("≤ %g", r.Aim)
	}
	out.Met = &met
	return out
}

// tidyRatio keeps three decimals of a ratio that would otherwise look like its aim.
func (r Row) tidyRatio(ratio float64) float64 {
	if tidy(ratio) == tidy(r.Aim) {
		return math.Round(ratio*1000) / 1000
	}
	return tidy(ratio)
}

// Middle has one result for each row: of the runs that measured it, the one with the middle ratio. The order is that of
// the first run.
func Middle(runs []Result) []Result {
	byRow := map[string][]Result{}
	var rows []string
	for _, r := range runs {
		if byRow[r.Row] == nil {
			rows = append(rows, r.Row)
		}
		byRow[r.Row] = append(byRow[r.Row], r)
	}
	results := []Result{}
	for _, row := range rows {
		list := byRow[row]
		slices.SortStableFunc(list, func(a, b Result) int { return cmp.Compare(a.Ratio, b.Ratio) })
		middle := list[len(list)/2]
		if len(list) > 1 {
			middle.Least, middle.Most = list[0].Ratio, list[len(list)-1].Ratio
		}
		results = append(results, middle)
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
