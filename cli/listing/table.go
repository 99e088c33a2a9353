package listing

import (
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"onhand/models"
)

// timeLayout is how the API writes a time.
const timeLayout = "2006-01-02T15:04:05.000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeLayout) }

// Names names locations.
type Names interface {
	LocationNamed(id string) *models.Location
}

// locationText is a location's id, and its name where that is another.
func locationText(names Names, id string) string {
	name := names.LocationNamed(id).Name
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

// column is a column of a table. Numbers are aligned at the right.
type column struct {
	head  string
	right bool
	cells []string
}

// gap separates columns.
const gap = "  "

// writeTable writes columns of equal length, without blanks at the ends of lines.
func writeTable(w io.Writer, columns []column) error {
	var b strings.Builder
	widths := make([]int, len(columns))
	for i := range columns {
		c := &columns[i]
		c.cells = append([]string{c.head}, c.cells...)
		for j, cell := range c.cells {
			c.cells[j] = visible(cell)
			widths[i] = max(widths[i], utf8.RuneCountInString(c.cells[j]))
		}
	}
	for row := range columns[0].cells {
		line := ""
		for i, c := range columns {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.cells[row]))
			if c.right {
				line += gap + padding + c.cells[row]
			} else {
				line += gap + c.cells[row] + padding
			}
		}
		b.WriteString(strings.TrimRight(line[len(gap):], " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// visible replaces control characters, which would move the cursor.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// optional is a text in JSON; null for an empty one.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
