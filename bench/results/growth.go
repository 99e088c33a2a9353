package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// GrowthPath is where tables of growth are kept, from the top of the repository.
const GrowthPath = "bench/growth.json"

// Growth is how figures grow with a size: a table with one line for each size. Where the lines are arrangements of servers
// instead, they have names.
type Growth struct {
	Of      string       `json:"of"`      // what grows, or differs
	Columns []string     `json:"columns"` // the names of the figures, with their units
	Lines   []GrowthLine `json:"lines"`
}

// GrowthLine is the line of one size.
type GrowthLine struct {
	Size    int       `json:"size"`           // with a name: its place in the table
	Name    string    `json:"name,omitempty"` // what the table shows instead of the size
	Figures []float64 `json:"figures"`        // one for each column
}

// Add adds the line of one size.
func (g *Growth) Add(size int, figures ...float64) {
	g.Lines = append(g.Lines, GrowthLine{Size: size, Figures: figures})
}

// AddNamed adds the line of an arrangement of servers, at a place of the table.
func (g *Growth) AddNamed(place int, name string, figures ...float64) {
	g.Lines = append(g.Lines, GrowthLine{Size: place, Name: name, Figures: figures})
}

// Whole returns an error where the table does not have these columns, so many lines, or a figure of each column in each.
func (g *Growth) Whole(columns []string, lines int) error {
	if g == nil || !slices.Equal(g.Columns, columns) {
		return fmt.Errorf("the columns are not %q", columns)
	}
	if len(g.Lines) != lines {
		return fmt.Errorf("%d lines of %d", len(g.Lines), lines)
	}
	for i, line := range g.Lines {
		if len(line.Figures) != len(columns) {
			return fmt.Errorf("line %d has %d figures of %d", i+1, len(line.Figures), len(columns))
		}
	}
	return nil
}

// Print prints a table of docs/performance.md or docs/scaling.md.
func (g *Growth) Print(out io.Writer) {
	first := "---:"
	if len(g.Lines) > 0 && g.Lines[0].Name != "" {
		first = "---"
	}
	fmt.Fprintf(out, "\n| %s | %s |\n|%s|%s\n", g.Of, strings.Join(g.Columns, " | "), first, strings.Repeat("---:|", len(g.Columns)))
	for _, line := range g.Lines {
		fmt.Fprintf(out, "| %s |", cmp.Or(line.Name, figure(float64(line.Size))))
		for _, f := range line.Figures {
			fmt.Fprintf(out, " %s |", figure(tidy(f)))
		}
		fmt.Fprintln(out)
	}
}

// Figure is the figure of a column in the line at index i. ok is false where the table has no such column.
func (g *Growth) Figure(i int, column string) (figure float64, ok bool) {
	at := slices.Index(g.Columns, column)
	if at < 0 || at >= len(g.Lines[i].Figures) {
		return 0, false
	}
	return g.Lines[i].Figures[at], true
}

// ReadGrowth reads the tables of a file, by their names. A file that is missing has none.
func ReadGrowth(path string) (map[string]*Growth, error) {
	tables := map[string]*Growth{}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &tables)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tables, nil
}

// Keep puts the table into a file under a name. Lines of other sizes with the same columns stay as they are, so that
// a table can be measured one size at a time. A path that is empty keeps nothing.
func (g *Growth) Keep(path, name string) error {
	if path == "" {
		return nil
	}
	tables, err := ReadGrowth(path)
	if err != nil {
		return err
	}
	kept := *g
	if old := tables[name]; old != nil && slices.Equal(old.Columns, g.Columns) {
		for _, line := range old.Lines {
			if !slices.ContainsFunc(g.Lines, func(l GrowthLine) bool { return l.Size == line.Size && l.Name == line.Name }) {
				kept.Lines = append(slices.Clone(kept.Lines), line)
			}
		}
	}
	slices.SortFunc(kept.Lines, func(a, b GrowthLine) int { return cmp.Compare(a.Size, b.Size) })
	for _, line := range kept.Lines {
		for i := range line.Figures {
			line.Figures[i] = tidy(line.Figures[i])
		}
	}
	tables[name] = &kept
	raw, err := json.MarshalIndent(tables, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
