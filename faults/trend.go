package faults

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// slopesMax bounds the pairs of samples that a line is fitted through; of more samples, every n-th is taken.
const slopesMax = 500_000

// trend is one number of a process, sampled over time, and what it may grow by.
type trend struct {
	name string
	// unit divides it for the table; bound is how much of it, undivided, the fitted line may climb over the whole time.
	unit, bound float64
	at          []time.Duration
	values      []float64
}

func (t *trend) add(at time.Duration, value float64) {
	t.at, t.values = append(t.at, at), append(t.values, value)
}

// growth is how much a line through the samples climbs from the first to the last. Its slope is the median of those
// between any two samples (Theil and Sen's), which the spikes of a few faults do not move.
func (t *trend) growth() float64 {
	step := 1
	for n := len(t.at); (n/step)*(n/step)/2 > slopesMax; step++ {
	}
	var slopes []float64
	for i := 0; i < len(t.at); i += step {
		for j := i + step; j < len(t.at); j += step {
			if apart := t.at[j] - t.at[i]; apart > 0 {
				slopes = append(slopes, (t.values[j]-t.values[i])/apart.Seconds())
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2] * (t.at[len(t.at)-1] - t.at[0]).Seconds()
}

// around is the median of some values.
func around(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// trendTable shows trends, a line each.
func trendTable(trends []*trend) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\tat first\tat last\tlargest\tfitted growth\tat most\t")
	for _, t := range trends {
		tenth := max(len(t.values)/10, min(len(t.values), 1))
		verdict := ""
		if t.growth() > t.bound {
			verdict = "GROWS"
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%+.1f\t%.0f\t%s\n", t.name, around(t.values[:tenth])/t.unit, around(t.values[len(t.values)-tenth:])/t.unit,
			slices.Max(append(t.values, 0))/t.unit, t.growth()/t.unit, t.bound/t.unit, verdict)
	}
	_ = w.Flush() // into memory; cannot fail
	return b.String()
}
