package stockfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"onhand/models"
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

const (
	// headerSizeMax is how many bytes NewReader looks at to detect the format.
	headerSizeMax = 4096
	// linesMax bounds the lines of a file, at a hundred times the largest real one.
	linesMax = 50_000_000
)

// Reader reads a stock file row by row.
type Reader struct {
	// Format is the detected format where NewReader was given Auto.
	Format Format
	next   func() (models.StockRow, error)
	rows   int
}

// NewReader opens a file. The file may be compressed with gzip, may begin with a
// byte order mark, and may have any line ends. Its columns may be separated by
// commas, semicolons or tabs.
//
// Errors: the file is not a stock file, or is not of the given format. For
// [OnlineRetail], use [ReadOnlineRetail].
func NewReader(r io.Reader, format Format) (*Reader, error) {
	unpacked, err := decompress(r)
	if err != nil {
		return nil, err
	}
	input := bufio.NewReaderSize(unpacked, headerSizeMax)
	start, err := input.Peek(headerSizeMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the beginning: %w", err)
	}
	switch {
	case bytes.HasPrefix(start, []byte{0xff, 0xfe}) || bytes.HasPrefix(start, []byte{0xfe, 0xff}):
		return nil, errors.New("the file is UTF-16; save it as CSV in UTF-8")
	case len(bytes.TrimSpace(start)) == 0 && len(start) < headerSizeMax:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(bytes.TrimSpace(start), []byte("{")):
		return newJSONReader(input, format)
	}
	return newTableReader(input, start, format)
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
func newTableReader(r io.Reader, start []byte, format Format) (*Reader, error) {
	t, err := newTable(r, separator(start))
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
