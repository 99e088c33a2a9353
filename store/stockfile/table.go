package stockfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"onhand/models"
)

// table reads a CSV file whose columns are found by name.
type table struct {
	csv     *csv.Reader
	limiter *recordLimiter
	columns map[string]int // by name in lower case
	width   int
	record  []string
	line    int // of record
}

// newTable reads the header.
func newTable(r io.Reader, separator rune) (*table, error) {
	limiter := newRecordLimiter(r)
	t := &table{csv: csv.NewReader(limiter), limiter: limiter, columns: map[string]int{}}
	t.csv.ReuseRecord, t.csv.FieldsPerRecord, t.csv.Comma = true, -1, separator
	header, err := t.csv.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	t.width, t.line = len(header), 1
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := t.columns[name]; twice && name != "" {
			return nil, fmt.Errorf("the column %s is there twice", header[i])
		}
		t.columns[name] = i
	}
	return t, nil
}

// separator is the most frequent one in the first line. Spreadsheets write
// semicolons in many countries.
func separator(start []byte) rune {
	line, _, _ := bytes.Cut(start, []byte("\n"))
	best := ','
	for _, c := range ";\t" {
		if bytes.Count(line, []byte(string(c))) > bytes.Count(line, []byte(string(best))) {
			best = c
		}
	}
	return best
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

// cell is one value of the current record, without the spaces around it. It is
// empty where the file has no such column.
func (t *table) cell(name string) string {
	if i, ok := t.columns[name]; ok && i < len(t.record) {
		return strings.TrimSpace(t.record[i])
	}
	return ""
}

// rows returns a function that reads the next row. parse parses the current
// record. Records without a value, which spreadsheets leave at the end, are
// skipped.
func (t *table) rows(parse func() (models.StockRow, error)) func() (models.StockRow, error) {
	return func() (models.StockRow, error) {
		for {
			err := t.read()
			var syntax *csv.ParseError
			switch {
			case errors.As(err, &syntax):
				return models.StockRow{Line: t.line, Problem: syntax.Err.Error()}, nil
			case err != nil:
				return models.StockRow{}, err
			case t.blank():
				continue
			}
			row, err := models.StockRow{}, error(nil)
			if len(t.record) != t.width {
				err = fmt.Errorf("%d columns, want %d", len(t.record), t.width)
			} else {
				row, err = parse()
			}
			row.Line = t.line
			if err != nil {
				row.Problem = err.Error()
			}
			return row, nil
		}
	}
}

// read reads the next record. Errors: io.EOF, a *csv.ParseError for this record
// alone, or one that ends the file.
func (t *table) read() (err error) {
	t.limiter.next()
	t.record, err = t.csv.Read()
	var syntax *csv.ParseError
	switch {
	case errors.As(err, &syntax):
		t.line = syntax.StartLine
		return err
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("after line %d: %w", t.line, err)
	}
	t.line, _ = t.csv.FieldPos(0)
	return nil
}

// blank reports whether the current record has no value.
func (t *table) blank() bool {
	return !slices.ContainsFunc(t.record, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// LocationIndex finds the location that a file means. A shop's file names a
// location by its name, or by its id where no location has that name, so that
// locations with the same name can be written too. Onhand's own formats use ids.
type LocationIndex struct {
	names map[string][]string // name to ids
}

// NewLocationIndex indexes all locations.
func NewLocationIndex(locations []models.Location) LocationIndex {
	x := LocationIndex{names: map[string][]string{}}
	for _, l := range locations {
		name := strings.TrimSpace(l.Name) // as a reader gets it
		x.names[name] = append(x.names[name], l.LocationID)
	}
	return x
}

// Find returns the id of the location with that name in a file of that format. It
// returns the name itself where no location has it.
//
// Errors: a name that several locations have.
func (x LocationIndex) Find(format Format, name string) (id string, err error) {
	if format != Shop && format != Shop17 {
		return name, nil
	}
	switch ids := x.names[name]; {
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d locations are called %q", len(ids), name)
	}
	return name, nil
}

// name is what a shop's file calls a location.
func (x LocationIndex) name(l models.Location) (string, error) {
	for _, name := range []string{strings.TrimSpace(l.Name), l.LocationID} {
		if id, err := x.Find(Shop, name); err == nil && id == l.LocationID && name != "" {
			return name, nil
		}
	}
	return "", fmt.Errorf("the location %s cannot be told apart by its name %q; give it another", l.LocationID, l.Name)
}
