package results

import (
	"fmt"
	"io"
	"strings"
)

// Growth is how figures grow with a size: a table with one line for each size.
type Growth struct {
	Of      string   // what grows
	Columns []string // the names of the figures, with their units
	Sizes   []int
	Figures [][]float64 // by size, one for each column
}

// Add adds the line of one size.
func (g *Growth) Add(size int, figures ...float64) {
	g.Sizes, g.Figures = append(g.Sizes, size), append(g.Figures, figures)
}

// Print prints a table of docs/performance.md.
func (g *Growth) Print(out io.Writer) {
	fmt.Fprintf(out, "\n| %s | %s |\n|---:|%s\n", g.Of, strings.Join(g.Columns, " | "), strings.Repeat("---:|", len(g.Columns)))
	for i, size := range g.Sizes {
		fmt.Fprintf(out, "| %s |", figure(float64(size)))
		for _, f := range g.Figures[i] {
			fmt.Fprintf(out, " %s |", figure(tidy(f)))
		}
		fmt.Fprintln(out)
	}
}
