package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestComparison: the ratio is the median of the ratios within a round, and the noise decides what counts.
func TestComparison(t *testing.T) {
	t.Parallel()
	rounds := []turns{
		{before: {100, 10, 50}, after: {110, 10, 40}, again: {101, 10, 50}},
		{before: {200, 10, 50}, after: {218, 10, 41}, again: {196, 11, 51}},
		{before: {100, 10, 50}, after: {80, 10, 42}, again: {105, 9, 49}},
	}
	require.Equal(t, spread{1.09, 0.8, 1.1}, compare(rounds, after, func(f figures) float64 { return f.perSecond }))
	var out bytes.Buffer
	printComparison(&out, rounds)
	require.Contains(t, out.String(), "throughput             1.090 (0.800 to 1.100)     1.010 (0.980 to 1.050)     OUTSIDE the noise\n")
	require.Contains(t, out.String(), "p99                    1.000 (1.000 to 1.000)     1.000 (0.900 to 1.100)     within the noise\n")
	require.Contains(t, out.String(), "CPU per call           0.820 (0.800 to 0.840)     1.000 (0.980 to 1.020)     OUTSIDE the noise\n")
}
