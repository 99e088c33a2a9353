package results

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestResult: the ratio is the median of the rounds' ratios; an aim may be a ceiling, or missing.
func TestResult(t *testing.T) {
	t.Parallel()
	rounds := []Round{
		{"a": {PerSecond: 10}, "b": {PerSecond: 1}},
		{"a": {PerSecond: 30}, "b": {PerSecond: 10}},
		{"a": {PerSecond: 20}, "b": {PerSecond: 4}},
	}
	met, missed := true, false
	want := Result{Row: "w: r", Ratio: 5, Aim: "≥ 5", Met: &met, Ours: 20, Beside: 4, Unit: "calls/s"}
	row := Row{Name: "r", Ours: "a", Beside: "b", Aim: 5, Of: PerSecond, Unit: "calls/s"}
	require.Equal(t, want, row.Result("w", rounds))
	want.Aim, want.Met = "≤ 4", &missed
	row.Aim, row.AtMost = 4, true
	require.Equal(t, want, row.Result("w", rounds))
	want.Aim, want.Met, row.Aim = "", nil, 0
	require.Equal(t, want, row.Result("w", rounds))
	require.Equal(t, "a beside b", Row{Ours: "a", Beside: "b"}.Named().Name)
}

// TestRatioBesideItsAim: a ratio that rounds to its aim has three decimals, so that one sees on which side it is.
func TestRatioBesideItsAim(t *testing.T) {
	t.Parallel()
	row := Row{Name: "r", Ours: "a", Beside: "b", Aim: 1.05, AtMost: true, Of: PerSecond}
	for ours, want := range map[float64]string{105.44: "| 1.054 | ≤ 1.05 | missed |", 104.5: "| 1.045 | ≤ 1.05 | **met** |", 110.44: "| 1.1 | ≤ 1.05 | missed |"} {
		var out bytes.Buffer
		PrintMarkdown(&out, []Result{row.Result("w", []Round{{"a": {PerSecond: ours}, "b": {PerSecond: 100}}})})
		require.Contains(t, out.String(), want)
	}
}

// TestMiddle: the result of a row is that of the run with the middle ratio, with the figures of that run.
func TestMiddle(t *testing.T) {
	t.Parallel()
	got := Middle([]Result{
		{Row: "a", Ratio: 3, Ours: 30}, {Row: "b", Ratio: 1, Ours: 1},
		{Row: "a", Ratio: 1, Ours: 10}, {Row: "b", Ratio: 2, Ours: 2},
		{Row: "a", Ratio: 2, Ours: 20}, {Row: "b", Ratio: 3, Ours: 3},
	})
	require.Equal(t, []Result{{Row: "a", Ratio: 2, Least: 1, Most: 3, Ours: 20}, {Row: "b", Ratio: 2, Least: 1, Most: 3, Ours: 2}}, got)
	require.Equal(t, []Result{{Row: "a", Ratio: 3}}, Middle([]Result{{Row: "a", Ratio: 3}}))
}

// TestPrintMarkdown: a row of the document has the aim and a verdict, where there are any.
func TestPrintMarkdown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	met := true
	PrintMarkdown(&out, []Result{
		{Row: "a", Ratio: 2.5, Least: 2, Most: 3.25, Aim: "≥ 2", Met: &met, Ours: 1234567.5, Beside: 999},
		{Row: "b", Ratio: 0.01234, Ours: 0.5, Beside: 1000},
	})
	require.Contains(t, out.String(), "| a | 1,234,567.5 | 999 | 2.5 | ≥ 2 | **met** |\n| b | 0.5 | 1,000 | 0.0123 |  |  |\n")
}

// TestPageFitsResults: the tables of results in docs/performance.md are what bench/results.json gives.
func TestPageFitsResults(t *testing.T) {
	t.Parallel()
	top := filepath.Join("..", "..")
	raw, err := os.ReadFile(filepath.Join(top, Path))
	require.NoError(t, err)
	var sections map[string][]Result
	require.NoError(t, json.Unmarshal(raw, &sections))
	var kept, shown []string
	for _, list := range sections {
		var out strings.Builder
		PrintMarkdown(&out, list)
		_, rows, _ := strings.Cut(out.String(), markdownHead)
		kept = append(kept, strings.Split(strings.TrimSpace(rows), "\n")...)
	}
	page, err := os.ReadFile(filepath.Join(top, "docs", "performance.md"))
	require.NoError(t, err)
	for _, rest := range strings.Split(string(page), markdownHead)[1:] {
		rows, _, _ := strings.Cut(rest, "\n\n")
		shown = append(shown, strings.Split(rows, "\n")...)
	}
	require.ElementsMatch(t, kept, shown)
}

// TestWrite: rows that were not measured keep their figures, in the order of the program's rows, and other programs
// keep their sections.
func TestWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench", "results.json")
	rows := []string{"first", "second"}
	require.NoError(t, Write(path, "other", []string{"x"}, []Result{{Row: "x", Ours: 3}}))
	require.NoError(t, Write(path, "this", rows, []Result{{Row: "second", Ours: 1}}))
	require.NoError(t, Write(path, "this", rows, []Result{{Row: "first", Ours: 2}, {Row: "a row that no workload has"}}))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var got map[string][]Result
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, map[string][]Result{
		"other": {{Row: "x", Ours: 3}},
		"this":  {{Row: "first", Ours: 2}, {Row: "second", Ours: 1}},
	}, got)
}
