package stockfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"onhand/models"
)

const (
	// recordSizeMax is the longest CSV record in bytes. Without it one stray quote would draw the rest of the file
	// into memory as a single field.
	recordSizeMax = 64 << 10
	// linesMax is how many lines a file may have: a hundred times the real one.
	linesMax = 50_000_000
	// invoicesMax is how many invoice numbers a file may have; they are remembered, so they bound the memory.
	invoicesMax = 1_000_000
	// productsMax is how many products a file may have, for the same reason.
	productsMax = 1_000_000
	// BadLinesMax is how many bad lines an error lists. The rest is counted.
	BadLinesMax = 20
)

// InvoiceKind is what an invoice did to the stock.
type InvoiceKind string

// The kinds of invoice.
const (
	// Sale: units left the house.
	Sale InvoiceKind = "SALE"
	// Cancellation: the number begins with C, and units came back.
	Cancellation InvoiceKind = "CANCELLATION"
	// Adjustment: a negative quantity without a C, a write-off ("damaged", "thrown away").
	Adjustment InvoiceKind = "ADJUSTMENT"
)

// columns is the header of the Online Retail file.
var columns = []string{
	"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
}

// The positions of the columns that are read.
const (
	columnInvoice = iota
	columnProduct
	columnDescription
	columnQuantity
	columnTime
	_ // price: not stock
	columnCustomer
)

// timeLayouts are how the published copies of the file write a time. None has a zone; they are read as UTC.
var timeLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006 15:04"}

// LineError is what is wrong with one line of a file. The header is line 1.
type LineError struct {
	Line int
	Err  error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *LineError) Unwrap() error { return e.Err }

// BadLinesError lists the first [BadLinesMax] bad lines of a file and counts the others.
type BadLinesError struct {
	Lines []*LineError
	More  int
}

// Error lists the lines, one a row.
func (e *BadLinesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d bad lines", len(e.Lines)+e.More)
	for _, l := range e.Lines {
		b.WriteString("\n" + l.Error())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

// add keeps the first lines and counts the rest.
func (e *BadLinesError) add(l *LineError) {
	if len(e.Lines) < BadLinesMax {
		e.Lines = append(e.Lines, l)
		return
	}
	e.More++
}

// retailLine is one line of the Online Retail file, understood.
type retailLine struct {
	number      int // in the file, the header being 1
	invoice     string
	kind        InvoiceKind
	productID   string
	description string
	units       int // always above zero; the kind says which way
	time        time.Time
	customerID  string
}

// lineReader reads the Online Retail file a line at a time.
type lineReader struct {
	csv   *csv.Reader
	bound *boundedReader
	lines int
}

// newLineReader opens the file, compressed or not, and checks its header.
func newLineReader(r io.Reader) (*lineReader, error) {
	plain, err := decompressed(r)
	if err != nil {
		return nil, err
	}
	bound := &boundedReader{r: plain, left: recordSizeMax}
	c := csv.NewReader(bound)
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // counted here, so that a short line is one bad line of many
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	for i, name := range columns {
		if i >= len(header) || strings.TrimSpace(header[i]) != name {
			return nil, fmt.Errorf("not an Online Retail file: the header must be %s", strings.Join(columns, ","))
		}
	}
	return &lineReader{csv: c, bound: bound}, nil
}

// next returns one line; io.EOF after the last. A *LineError leaves the reader usable, any other error ends it.
func (lr *lineReader) next() (retailLine, error) {
	lr.bound.left = recordSizeMax
	record, err := lr.csv.Read()
	if errors.Is(err, io.EOF) {
		return retailLine{}, io.EOF
	}
	if lr.lines++; lr.lines > linesMax {
		return retailLine{}, fmt.Errorf("more than %d lines", linesMax)
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return retailLine{}, &LineError{Line: parse.StartLine, Err: parse.Err}
	}
	if err != nil {
		return retailLine{}, fmt.Errorf("after line %d: %w", lr.lines, err)
	}
	number, _ := lr.csv.FieldPos(0)
	line, err := parseRetailLine(record)
	if err != nil {
		return retailLine{}, &LineError{Line: number, Err: err}
	}
	line.number = number
	return line, nil
}

// parseRetailLine understands one record. The record's memory is reused, so what is kept is copied.
func parseRetailLine(record []string) (retailLine, error) {
	if len(record) != len(columns) {
		return retailLine{}, fmt.Errorf("%d columns, want %d", len(record), len(columns))
	}
	invoice, err := identifier("InvoiceNo", record[columnInvoice])
	if err != nil {
		return retailLine{}, err
	}
	product, err := identifier("StockCode", record[columnProduct])
	if err != nil {
		return retailLine{}, err
	}
	description := strings.TrimSpace(record[columnDescription])
	if err := text("Description", description); err != nil {
		return retailLine{}, err
	}
	quantity, err := strconv.Atoi(record[columnQuantity])
	if err != nil || quantity == 0 || quantity < -models.QuantityMax || quantity > models.QuantityMax {
		return retailLine{}, fmt.Errorf("the Quantity %q must be a whole number other than 0, within ±%d",
			record[columnQuantity], models.QuantityMax)
	}
	at, err := parseTime(record[columnTime])
	if err != nil {
		return retailLine{}, err
	}
	line := retailLine{
		invoice: strings.Clone(invoice), kind: Sale, productID: strings.Clone(product), units: quantity, time: at,
		description: strings.Clone(description), customerID: strings.Clone(strings.TrimSpace(record[columnCustomer])),
	}
	switch returned := strings.HasPrefix(invoice, "C"); {
	case returned && quantity > 0:
		return retailLine{}, fmt.Errorf("the cancellation %s has the positive Quantity %d", invoice, quantity)
	case returned:
		line.kind, line.units = Cancellation, -quantity
	case quantity < 0:
		line.kind, line.units = Adjustment, -quantity
	}
	return line, nil
}

// identifier checks an id; spaces around it come from spreadsheets and mean nothing.
func identifier(column, value string) (string, error) {
	id := strings.TrimSpace(value)
	if id == "" {
		return "", fmt.Errorf("the %s is empty", column)
	}
	return id, text(column, id)
}

// text checks what will be stored as text.
func text(column, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("the %s is not UTF-8; convert the file first", column)
	}
	if utf8.RuneCountInString(value) > models.IDLengthMax {
		return fmt.Errorf("the %s is longer than %d characters", column, models.IDLengthMax)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("the %s has a control character", column)
	}
	return nil
}

func parseTime(value string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("the InvoiceDate %q is not like 2010-12-01T08:26:00", value)
}

// decompressed looks at the first bytes: gzip is unpacked, a byte order mark is dropped.
func decompressed(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("open gzip: %w", err)
		}
		buffered = bufio.NewReader(unzipped)
	}
	if start, _ := buffered.Peek(3); bytes.Equal(start, []byte("\ufeff")) {
		_, _ = buffered.Discard(3) // just peeked, so it is there
	}
	return buffered, nil
}

// boundedReader gives up when one record wants more than its share.
type boundedReader struct {
	r    io.Reader
	left int // bytes the current record may still draw
}

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a line is longer than %d bytes; a quote may be missing", recordSizeMax)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
