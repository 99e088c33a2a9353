package checker

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// slopesMax bounds the pairs of samples that a line is fitted through; of more samples, every n-th is taken.
const slopesMax = 500_000

// Trend is one metric of a process, sampled over time, and how much it may grow.
type Trend struct {
	Metric string
	// Unit divides the values in the table. GrowthMax is how much the fitted line may climb over the whole time, undivided.
	Unit, GrowthMax float64

	at     []time.Duration
	values []float64
}

// Add adds a sample.
func (t *Trend) Add(at time.Duration, value float64) {
	t.at, t.values = append(t.at, at), append(t.values, value)
}

// Samples is how many there are.
func (t *Trend) Samples() int { return len(t.values) }

// Growth is how much a line through the samples climbs from the first to the last. Its slope is the median of the slopes
// between any two samples (Theil-Sen), which the spikes of a few faults do not move.
func (t *Trend) Growth() float64 {
	step := 1
	for n := len(t.at); (n/step)*(n/step)/2 > slopesMax; step++ {
	}
	var slopes []float64
	for i := 0; i < len(t.at); i += step {
		for j := i + step; j < len(t.at); j += step {
			if between := t.at[j] - t.at[i]; between > 0 {
				slopes = append(slopes, (t.values[j]-t.values[i])/between.Seconds())
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	return median(slopes) * (t.at[len(t.at)-1] - t.at[0]).Seconds()
}

// median is that of some values; 0 without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// TrendTable shows trends, a line each.
func TrendTable(trends []*Trend) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nmetric\tat first\tat last\tlargest\tfitted growth\tat most\t")
	for _, t := range trends {
		tenth := max(len(t.values)/10, min(len(t.values), 1))
		verdict := ""
		if t.Growth() > t.GrowthMax {
			verdict = "GROWS"
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%+.1f\t%.0f\t%s\n", t.Metric, median(t.values[:tenth])/t.Unit, median(t.values[len(t.values)-tenth:])/t.Unit,
			slices.Max(append(slices.Clone(t.values), 0))/t.Unit, t.Growth()/t.Unit, t.GrowthMax/t.Unit, verdict)
	}
	_ = w.Flush() // into memory; cannot fail
	return b.String()
}
