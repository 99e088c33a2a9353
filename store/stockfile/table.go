package stockfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"onhand/models"
	"onhand/store/stockfile/delimited"
)

// table reads a CSV file whose columns are found by name.
type table struct {
	records *delimited.Records
	names   []string       // of the columns, in lower case
	columns map[string]int // by name
	// keys must have a value in each row; quantities are numbers where they have one.
	keys, quantities []string
	record           delimited.Record
	queued           []models.StockRow // the lines of a record that is not one row
}

// newTable reads the header.
func newTable(lines *delimited.Lines) (*table, error) {
	records, err := delimited.NewRecords(lines)
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	header, err := records.Next()
	for err == nil && header.Blank() {
		header, err = records.Next()
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file has no line that names the columns")
	case err != nil:
		return nil, fmt.Errorf("read the header: %w", err)
	case header.Problem != "":
		return nil, fmt.Errorf("the header, in line %d: %s", header.First(), header.Problem)
	}
	t := &table{records: records, columns: map[string]int{}}
	for i, cell := range header.Cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		if _, twice := t.columns[name]; twice && name != "" {
			return nil, fmt.Errorf("the column %s is there twice", shorten(cell))
		}
		t.columns[name] = i
		t.names = append(t.names, name)
	}
	return t, nil
}

// format detects the format from the names of the columns.
func (t *table) format() (Format, error) {
	switch {
	case t.has("handle", "location", "on hand (new)"):
		return Shop, nil
	case t.has("handle", "location", "on hand"):
		return Shop17, nil
	case t.has("product_id"):
		return CSV, nil
	case t.has("invoiceno", "stockcode", "quantity"):
		return OnlineRetail, nil
	}
	return "", errors.New("not a stock file: its first line must name the columns, among them product_id and location_id, or Handle, Location and On hand (new)")
}

func (t *table) has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { _, ok := t.columns[name]; return !ok })
}

// cell is one value of the current record, as it is in the file. It is empty where
// the file has no such column, or the record ends before it.
func (t *table) cell(name string) string { return t.cellOf(t.record.Cells, name) }

// at is the index of a column; -1 where the file does not have it.
func (t *table) at(name string) int {
	if i, ok := t.columns[name]; ok {
		return i
	}
	return -1
}

// cellAt is cell by the column's index.
func (t *table) cellAt(i int) string {
	if i < 0 || i >= len(t.record.Cells) {
		return ""
	}
	return t.record.Cells[i]
}

func (t *table) cellOf(cells []string, name string) string {
	if i, ok := t.columns[name]; ok && i < len(cells) {
		return cells[i]
	}
	return ""
}

// rows returns a function that reads the next row. parse parses the current
// record. Records without a value, which spreadsheets leave at the end, are
// skipped.
func (t *table) rows(parse func() (models.StockRow, error)) func() (models.StockRow, error) {
	return func() (models.StockRow, error) {
		for len(t.queued) == 0 {
			problem, err := t.read()
			if err != nil {
				return models.StockRow{}, err
			}
			row := models.StockRow{Line: t.record.First(), LastLine: t.record.Last(), Problem: problem}
			if problem == "" && t.record.Blank() {
				continue
			}
			if problem != "" && t.record.Problem == "" && row.LastLine > row.Line { // every swallowed line is a row
				for _, line := range t.record.Lines {
					t.queued = append(t.queued, models.StockRow{Line: line.Number, LastLine: line.Number, Problem: problem})
				}
				break
			}
			if problem == "" {
				parsed, err := parse()
				if err != nil {
					parsed.Problem = err.Error()
				}
				parsed.Line, parsed.LastLine = row.Line, row.LastLine
				row = parsed
			}
			return row, nil
		}
		row := t.queued[0]
		t.queued = t.queued[1:]
		return row, nil
	}
}

// read reads the next record. problem is why the record is not one row.
func (t *table) read() (problem string, err error) {
	if t.record, err = t.records.Next(); err != nil {
		return "", err
	}
	switch {
	case t.record.Problem != "":
		return t.record.Problem, nil
	case t.swallowed():
		return fmt.Sprintf("lines %d to %d are read as one row, because a quote opens in line %d and the next one is in line %d, and there are rows between them; double the quotes inside a cell",
			t.record.First(), t.record.Last(), t.record.First(), t.record.Last()), nil
	}
	for _, cell := range t.record.Cells[min(len(t.names), len(t.record.Cells)):] {
		if strings.TrimSpace(cell) != "" {
			return fmt.Sprintf("%d cells, and the header names %d columns; the value %q is in none", len(t.record.Cells), len(t.names), shorten(cell)), nil
		}
	}
	return "", nil
}

// swallowed reports whether a cell in quotes contains rows of the file: it has
// separators and line breaks, and a line after the first looks like a row.
func (t *table) swallowed() bool {
	if len(t.record.Lines) == 1 || !slices.ContainsFunc(t.record.Cells, func(cell string) bool {
		return strings.Contains(cell, "\n") && t.records.Separates(cell)
	}) {
		return false
	}
	return slices.ContainsFunc(t.record.Lines[1:], t.looksLikeRow)
}

// looksLikeRow reports whether a line has what a row must have. A line with fewer
// cells than the header is a row only when a separator is inside the quotes and a
// quantity is in its place: else it is the end of a title with a line break.
func (t *table) looksLikeRow(line delimited.Line) bool {
	cells := t.records.Split(line)
	if len(t.names) < 2 || slices.ContainsFunc(cells[min(len(t.names), len(cells)):], func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return false
	}
	for _, key := range t.keys {
		if strings.TrimSpace(t.cellOf(cells, key)) == "" {
			return false
		}
	}
	given := false
	for _, name := range t.quantities {
		value := strings.TrimSpace(t.cellOf(cells, name))
		if value == "" || strings.EqualFold(value, notStocked) {
			continue
		}
		if _, err := parseCount(name, value); err != nil {
			return false
		}
		given = true
	}
	if len(cells) >= len(t.names) {
		return given || len(t.names) > 3
	}
	inside, _, _ := strings.Cut(line.Text, `"`)
	return given && t.records.Separates(inside)
}
