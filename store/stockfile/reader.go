package stockfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"onhand/models"
)

// Format is how a file of stock is written.
type Format string

// The formats.
const (
	// Auto looks at the beginning of the file.
	Auto Format = "auto"
	// Shop is the inventory CSV of the largest hosted shop system, 19 columns; Shop17 is its older form.
	Shop   Format = "shop"
	Shop17 Format = "shop-17"
	// CSV is our own CSV, a row for each product and location; JSONLines is the same as one JSON object a line.
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
	// OnlineRetail is a year of invoices; see [ReadOnlineRetail].
	OnlineRetail Format = "online-retail"
)

// headerSizeMax is how far the first line is looked for, in bytes.
const headerSizeMax = 4096

// Reader reads a file of stock a row at a time.
type Reader struct {
	// Format is what the file is, also where Auto was asked for.
	Format Format
	next   func() (models.StockRow, error)
	rows   int
}

// NewReader opens a file, plain or compressed with gzip, with or without a byte order mark, with any line ends, with
// commas, semicolons or tabs between the columns.
//
// Errors: what is no stock file, and a format that is not what the file is. For [OnlineRetail], use [ReadOnlineRetail].
func NewReader(r io.Reader, format Format) (*Reader, error) {
	unpacked, err := decompressed(r)
	if err != nil {
		return nil, err
	}
	start := bufio.NewReaderSize(unpacked, headerSizeMax)
	first, err := start.Peek(headerSizeMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the beginning: %w", err)
	}
	switch {
	case bytes.HasPrefix(first, []byte{0xff, 0xfe}) || bytes.HasPrefix(first, []byte{0xfe, 0xff}):
		return nil, errors.New("the file is UTF-16; save it as CSV in UTF-8")
	case len(bytes.TrimSpace(first)) == 0 && len(first) < headerSizeMax:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(bytes.TrimSpace(first), []byte("{")):
		return newJSONReader(start, format)
	}
	return newCSVReader(start, first, format)
}

// Next returns one row, io.EOF after the last. A row that cannot be understood says so in its Problem; any error ends
// the file.
func (r *Reader) Next() (models.StockRow, error) {
	if r.rows++; r.rows > linesMax {
		return models.StockRow{}, fmt.Errorf("more than %d rows", linesMax)
	}
	return r.next()
}

// table is a CSV file whose columns are found by name.
type table struct {
	csv     *csv.Reader
	bound   *boundedReader
	columns map[string]int
	width   int
	record  []string
	line    int // of the record that was read last
}

func newCSVReader(r io.Reader, first []byte, format Format) (*Reader, error) {
	bound := &boundedReader{r: r, left: recordSizeMax}
	t := &table{csv: csv.NewReader(bound), bound: bound, columns: map[string]int{}}
	t.csv.ReuseRecord, t.csv.FieldsPerRecord, t.csv.Comma = true, -1, separator(first)
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
		reader.next = t.reading(shopTable{t, found}.row)
	case CSV:
		p, err := newPlainTable(t)
		if err != nil {
			return nil, err
		}
		reader.next = t.reading(p.row)
	default:
		reader.next = func() (models.StockRow, error) {
			return models.StockRow{}, errors.New("a file of invoices has no rows of stock")
		}
	}
	return reader, nil
}

// separator is what stands most often in the first line: spreadsheets of half the world write semicolons.
func separator(first []byte) rune {
	line, _, _ := bytes.Cut(first, []byte("\n"))
	best := ','
	for _, c := range ";\t" {
		if bytes.Count(line, []byte(string(c))) > bytes.Count(line, []byte(string(best))) {
			best = c
		}
	}
	return best
}

// format tells by the header's names.
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

// cell is one value of the current record, without the spaces around it; empty where the file lacks the column.
func (t *table) cell(name string) string {
	if i, ok := t.columns[name]; ok && i < len(t.record) {
		return strings.TrimSpace(t.record[i])
	}
	return ""
}

// reading makes rows of records. Rows without a single value, which spreadsheets leave at the end, are passed over.
func (t *table) reading(row func() (models.StockRow, error)) func() (models.StockRow, error) {
	return func() (models.StockRow, error) {
		for {
			t.bound.left = recordSizeMax
			var err error
			t.record, err = t.csv.Read()
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				t.line = parse.StartLine
				return models.StockRow{Line: t.line, Problem: parse.Err.Error()}, nil
			}
			if errors.Is(err, io.EOF) {
				return models.StockRow{}, io.EOF
			}
			if err != nil {
				return models.StockRow{}, fmt.Errorf("after line %d: %w", t.line, err)
			}
			t.line, _ = t.csv.FieldPos(0)
			if !slices.ContainsFunc(t.record, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
				continue
			}
			made, err := models.StockRow{}, error(nil)
			if len(t.record) != t.width {
				err = fmt.Errorf("%d columns, want %d", len(t.record), t.width)
			} else {
				made, err = row()
			}
			made.Line = t.line
			if err != nil {
				made.Problem = err.Error()
			}
			return made, nil
		}
	}
}

// number reads a count; empty is none.
func number(column, value string) (models.Count, error) {
	if value == "" {
		return models.Count{}, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return models.Count{}, fmt.Errorf("the %s %q is not a whole number", column, shortened(value))
	}
	return models.Counted(n), bounded(column, n)
}

func bounded(column string, n int) error {
	if n < -models.QuantityMax || n > models.QuantityMax {
		return fmt.Errorf("the %s %d is outside ±%d", column, n, models.QuantityMax)
	}
	return nil
}

// shortened keeps a message readable whatever stands in a cell.
func shortened(value string) string {
	const runesMax = 40
	if runes := []rune(value); len(runes) > runesMax {
		return string(runes[:runesMax]) + "…"
	}
	return value
}

// title is text for people: what cannot be stored in it is left out, for it identifies nothing.
func title(value string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(value, "\ufffd"))
	if runes := []rune(clean); len(runes) > models.TextLengthMax {
		clean = string(runes[:models.TextLengthMax])
	}
	return strings.TrimSpace(strings.Clone(clean))
}

// checkNew refuses what can never be set.
func checkNew(row models.StockRow) error {
	if row.New.Available.Given && row.New.OnHand.Given {
		return errors.New("give what is available or what is on hand, not both: one follows from the other")
	}
	for _, s := range models.Settable {
		if n := row.New.Of(s); s != models.Available && n.Given && n.Units < 0 {
			return fmt.Errorf("%s cannot be %d", strings.ToLower(strings.ReplaceAll(string(s), "_", " ")), n.Units)
		}
	}
	if row.Location == "" && (row.New.Any() || row.Now.Any()) {
		return errors.New("the row has quantities and no location")
	}
	return nil
}
