package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/bench/loadgen"
	"onhand/bench/results"
)

// TestPageFitsTables: docs/scaling.md and its pictures are what bench/growth.json gives, and have every table. Each table has
// the columns and lines that a run measures.
func TestPageFitsTables(t *testing.T) {
	t.Parallel()
	top := filepath.Join("..", "..")
	kept, err := results.ReadGrowth(filepath.Join(top, results.GrowthPath))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(top, page))
	require.NoError(t, err)
	require.Equal(t, string(withTables(text, kept)), string(text), "run: go run ./bench/scale draw")
	for _, one := range tables() {
		require.Contains(t, kept, one.name)
		if one.measure != nil {
			require.NoError(t, kept[one.name].Whole(one.columns, one.lines), "%s: measure it again: make scale ARGS='--table \"^%[1]s$\"'", one.name)
		}
		require.Contains(t, string(text), "<!-- table: "+one.name+" -->")
	}
	for _, d := range drawings {
		svg, err := d.svg(kept[d.table])
		require.NoError(t, err)
		drawn, err := os.ReadFile(filepath.Join(top, pictures, d.file))
		require.NoError(t, err)
		require.Equal(t, string(svg), string(drawn), "run: go run ./bench/scale draw")
		require.Contains(t, string(text), "images/"+d.file)
	}
}

// TestWithTables: a table replaces what its place had; a place without a measured table stays.
func TestWithTables(t *testing.T) {
	t.Parallel()
	g := &results.Growth{Of: "products", Columns: []string{"a"}}
	g.Add(10, 1)
	text := "x\n<!-- table: one two -->\nold\n<!-- end of the table -->\ny\n<!-- table: other -->\nstays\n<!-- end of the table -->\n"
	written := string(withTables([]byte(text), map[string]*results.Growth{"one two": g}))
	require.NotContains(t, written, "old")
	require.Contains(t, written, "stays")
	require.Contains(t, written, "| 10 | 1 |\n\n<!-- end of the table -->\ny\n")
	require.Equal(t, written, string(withTables([]byte(written), map[string]*results.Growth{"one two": g})))
}

// TestSchedule: calls are made at the rate, and a latency counts from the moment at which the call was due.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &schedule{rate: 10, begin: time.Now()}
		call := s.call(func(*loadgen.Worker) error {
			time.Sleep(250 * time.Millisecond)
			return nil
		})
		w := &loadgen.Worker{Turn: t.Context()}
		for range 3 { // due at 0, 100 and 200 ms; answered at 250, 500 and 750
			require.NoError(t, call(w))
		}
		latency := s.latency.Drain()
		require.Equal(t, 3, latency.Count)
		require.InDelta(t, 550, latency.Percentile(99).Milliseconds(), 20)
		require.InDelta(t, 400, latency.Percentile(50).Milliseconds(), 15)
		failed := errors.New("failed")
		require.ErrorIs(t, s.call(func(*loadgen.Worker) error { return failed })(w), failed)
		require.Zero(t, s.latency.Drain().Count)
	})
}

// TestTableNames: names are what --table and the page's comments can have, each once.
func TestTableNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, one := range tables() {
		require.False(t, seen[one.name])
		seen[one.name] = true
		require.NotNil(t, places.FindStringSubmatch("<!-- table: "+one.name+" -->\n<!-- end of the table -->"))
		require.True(t, (one.program == "") == (one.measure != nil))
		require.Equal(t, strings.TrimSpace(one.name), one.name)
	}
}
