package results

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGrowth: the table has a line for each size.
func TestGrowth(t *testing.T) {
	t.Parallel()
	g := Growth{Of: "products", Columns: []string{"requests/s", "p50, ms"}}
	g.Add(10_000, 12345.6, 0.51234)
	g.Add(1_000_000, 9000, 2)
	var out bytes.Buffer
	g.Print(&out)
	require.Equal(t, `
| products | requests/s | p50, ms |
|---:|---:|---:|
| 10,000 | 12,346 | 0.512 |
| 1,000,000 | 9,000 | 2 |
`, out.String())

	g = Growth{Of: "Redis", Columns: []string{"pages/s"}}
	g.AddNamed(0, "one Redis", 5)
	out.Reset()
	g.Print(&out)
	require.Equal(t, "\n| Redis | pages/s |\n|---|---:|\n| one Redis | 5 |\n", out.String())
}

// TestKeptGrowth: a table is measured one size at a time, and a size that is measured again replaces its line. Other
// tables stay. A table with other columns replaces the whole one.
func TestKeptGrowth(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench", "growth.json")
	keep := func(name string, columns []string, size int, figures ...float64) {
		g := Growth{Of: "products", Columns: columns}
		g.Add(size, figures...)
		require.NoError(t, g.Keep(path, name))
	}
	columns := []string{"a", "b"}
	keep("reads", columns, 1000, 1, 2)
	keep("other", columns, 1, 1, 1)
	keep("reads", columns, 10, 3, 4)
	keep("reads", columns, 1000, 5, 6.54321)
	tables, err := ReadGrowth(path)
	require.NoError(t, err)
	require.Len(t, tables, 2)
	require.Equal(t, []GrowthLine{{10, "", []float64{3, 4}}, {1000, "", []float64{5, 6.54}}}, tables["reads"].Lines)
	figure, ok := tables["reads"].Figure(1, "b")
	require.True(t, ok)
	require.Equal(t, 6.54, figure)
	_, ok = tables["reads"].Figure(1, "c")
	require.False(t, ok)

	keep("reads", []string{"a"}, 20, 1)
	tables, err = ReadGrowth(path)
	require.NoError(t, err)
	require.Equal(t, []GrowthLine{{20, "", []float64{1}}}, tables["reads"].Lines)

	require.NoError(t, (&Growth{}).Keep("", "none"))
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = ReadGrowth(path)
	require.Error(t, err)
}

// TestWhole: a table that lacks a column, a line or a figure, or that was never measured, is not whole.
func TestWhole(t *testing.T) {
	t.Parallel()
	g := &Growth{Columns: []string{"a", "b"}}
	g.Add(1, 1, 2)
	g.Add(2, 3, 4)
	require.NoError(t, g.Whole([]string{"a", "b"}, 2))
	require.Error(t, g.Whole([]string{"a", "c"}, 2))
	require.Error(t, g.Whole([]string{"a", "b"}, 3))
	g.Add(3, 5)
	require.Error(t, g.Whole([]string{"a", "b"}, 3))
	require.Error(t, (*Growth)(nil).Whole(nil, 0))
}
