package main

import (
	"fmt"
	"io"
	"slices"
)

// The names of the builds.
const (
	before = "before"
	after  = "after"
	again  = "before again"
)

// turns are those of one round, by the name of the build.
type turns map[string]figures

// spread is the ratios of one figure over all rounds.
type spread struct{ median, least, most float64 }

func (s spread) String() string { return fmt.Sprintf("%.3f (%.3f to %.3f)", s.median, s.least, s.most) }

// contains reports whether a ratio lies within the spread.
func (s spread) contains(ratio float64) bool { return ratio >= s.least && ratio <= s.most }

// compare divides a figure of one build by that of the build before, round by round.
func compare(rounds []turns, name string, of func(figures) float64) spread {
	var ratios []float64
	for _, one := range rounds {
		ratios = append(ratios, of(one[name])/max(of(one[before]), 1e-9))
	}
	slices.Sort(ratios)
	n := len(ratios)
	return spread{median: (ratios[(n-1)/2] + ratios[n/2]) / 2, least: ratios[0], most: ratios[n-1]}
}

// printComparison prints, for each figure, the ratio of the change beside the noise, each with its spread.
func printComparison(out io.Writer, rounds []turns) {
	fmt.Fprintf(out, "\n%-22s %-26s %-26s\n", "median ratio (spread)", "after / before", "before again / before")
	for _, figure := range []struct {
		name string
		of   func(figures) float64
	}{
		{"throughput", func(f figures) float64 { return f.perSecond }},
		{"p99", func(f figures) float64 { return f.p99Millis }},
		{"CPU per call", func(f figures) float64 { return f.cpuMicros }},
	} {
		change, noise := compare(rounds, after, figure.of), compare(rounds, again, figure.of)
		verdict := "within the noise"
		if !noise.contains(change.median) {
			verdict = "OUTSIDE the noise"
		}
		fmt.Fprintf(out, "%-22s %-26s %-26s %s\n", figure.name, change, noise, verdict)
	}
}
