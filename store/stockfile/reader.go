package stockfile

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"onhand/models"
	"onhand/store/stockfile/delimited"
)

// Format names the format of a file.
type Format string

// The formats.
const (
	// Auto detects the format from the beginning of the file.
	Auto Format = "auto"
	// Shop is the inventory CSV of the largest hosted shop system, with 19 columns.
	// Shop17 is its older form with 17.
	Shop   Format = "shop"
	Shop17 Format = "shop-17"
	// CSV is Onhand's own CSV, with a row for each product and location. JSONLines
	// is the same with one JSON object a line.
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
	// OnlineRetail is a year of invoices; see [ReadOnlineRetail].
	OnlineRetail Format = "online-retail"
)

// linesMax bounds the lines of a file, at a hundred times the largest real one.
const linesMax = 50_000_000

// Reader reads a stock file row by row.
type Reader struct {
	// Format is the detected format where NewReader was given Auto.
	Format Format
	next   func() (models.StockRow, error)
	rows   int
}

// NewReader opens a file. Package delimited says what a file may look like.
//
// Errors: the file is not a stock file, or is not of the given format. For
// [OnlineRetail], use [ReadOnlineRetail].
func NewReader(r io.Reader, format Format) (*Reader, error) {
	lines, err := delimited.NewLines(r)
	if err != nil {
		return nil, err
	}
	first, start, err := firstText(lines)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(start, "{"):
		return newJSONReader(lines, format)
	case strings.HasPrefix(start, "["):
		return nil, errors.New("the file is a JSON array; write one JSON object a line, without brackets and commas around them")
	case strings.HasPrefix(start, "<"):
		return nil, errors.New("the file is HTML or XML, not text in columns; save it as CSV in UTF-8")
	}
	if first.Problem != "" {
		return nil, fmt.Errorf("line %d: %s", first.Number, first.Problem)
	}
	return newTableReader(lines, format)
}

// firstText returns the first line, and the text of the first line that is text.
func firstText(lines *delimited.Lines) (first delimited.Line, start string, err error) {
	const linesMax = 100
	var read []delimited.Line
	for len(read) < linesMax {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return first, "", err
		}
		read = append(read, line)
		if start = strings.TrimSpace(line.Text); start != "" {
			break
		}
	}
	lines.Back(read...)
	return read[0], start, nil
}

// Next returns the next row, or io.EOF after the last. A row that cannot be
// parsed has a Problem. Any other error ends the file.
func (r *Reader) Next() (models.StockRow, error) {
	if r.rows++; r.rows > linesMax {
		return models.StockRow{}, fmt.Errorf("more than %d rows", linesMax)
	}
	return r.next()
}

// newTableReader reads a format that is a table.
func newTableReader(lines *delimited.Lines, format Format) (*Reader, error) {
	t, err := newTable(lines)
	if err != nil {
		return nil, err
	}
	found, err := t.format()
	if err == nil && format != Auto && format != found {
		err = fmt.Errorf("the file is %s, not %s", found, format)
	}
	if err != nil {
		return nil, err
	}
	reader := &Reader{Format: found}
	switch found {
	case Shop, Shop17:
		t.keys, t.quantities = []string{"location"}, shopQuantities(found)
		reader.next = t.rows(shopTable{t, found}.row)
	case CSV:
		own, err := newCSVTable(t)
		if err != nil {
			return nil, err
		}
		reader.next = t.rows(own.row)
	default:
		reader.next = func() (models.StockRow, error) {
			return models.StockRow{}, errors.New("a file of invoices has no rows of stock")
		}
	}
	return reader, nil
}
