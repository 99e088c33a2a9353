package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func draw(t *testing.T, c Chart) string {
	t.Helper()
	svg, err := c.SVG()
	require.NoError(t, err)
	decoder := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return string(svg)
		} else {
			require.NoError(t, err, "well-formed XML")
		}
	}
}

// TestSVG: names are escaped, each series has a line with a point for each size, and both themes have colours.
func TestSVG(t *testing.T) {
	t.Parallel()
	c := Chart{
		Title: "CPU & time", X: "products", Y: "µs", Sizes: []float64{10, 1000, 100_000},
		Series: []Series{{"server <b>", []float64{10, 20, 30}}, {"Redis", []float64{1, 2, 30}}},
	}
	svg := draw(t, c)
	require.Contains(t, svg, "CPU &amp; time")
	require.Contains(t, svg, "server &lt;b&gt;")
	require.Contains(t, svg, "prefers-color-scheme:dark")
	require.Contains(t, svg, ">100k<")
	require.Equal(t, 2, strings.Count(svg, `class="line `))
	require.Equal(t, 6, strings.Count(svg, "<circle "))
	require.NotContains(t, svg, "ZgotmplZ", "the template takes every value as it is")
	require.Equal(t, svg, draw(t, c), "the same chart gives the same picture")
}

// TestNamesDoNotOverlap: series that end at one place have names under each other.
func TestNamesDoNotOverlap(t *testing.T) {
	t.Parallel()
	same := []float64{5, 5}
	svg := draw(t, Chart{Title: "t", X: "x", Y: "y", Sizes: []float64{1, 2}, Series: []Series{{"a", same}, {"b", same}, {"c", same}}})
	seen := map[string]bool{}
	for _, part := range strings.Split(svg, `class="name" `)[1:] {
		place, _, _ := strings.Cut(part, ">")
		require.False(t, seen[place], place)
		seen[place] = true
	}
	require.Len(t, seen, 3)
}

// TestEdges: one size, zeros and a negative value are drawn; what cannot be drawn is an error.
func TestEdges(t *testing.T) {
	t.Parallel()
	for _, values := range [][]float64{{0}, {7}, {-3}} {
		svg := draw(t, Chart{Title: "one", Sizes: []float64{4}, Series: []Series{{"a", values}}})
		require.NotContains(t, svg, "NaN")
		require.NotContains(t, svg, "Inf")
	}
	for _, broken := range []Chart{
		{}, {Sizes: []float64{1}}, {Series: []Series{{"a", nil}}},
		{Sizes: []float64{1, 2}, Series: []Series{{"a", []float64{1}}}},
		{Sizes: []float64{1}, Series: make([]Series, seriesMax+1)},
	} {
		_, err := broken.SVG()
		require.Error(t, err)
	}
}

// TestAxis: an axis begins at zero, or is logarithmic where its values spread; its ticks cover the values.
func TestAxis(t *testing.T) {
	t.Parallel()
	a := newAxis([]float64{3, 42}, nil, 0, 100)
	require.Equal(t, []float64{0, 10, 20, 30, 40, 50}, a.ticks)
	require.InDelta(t, 84, a.place(42), 0.01)
	a = newAxis([]float64{3, 4200}, nil, 0, 100)
	require.Equal(t, []float64{1, 10, 100, 1000, 10000}, a.ticks)
	require.InDelta(t, 25, a.place(10), 0.01)
	require.Equal(t, []string{"0.5", "12", "1.5k", "10k", "2M"}, []string{short(0.5), short(12), short(1500), short(10_000), short(2e6)})
}
