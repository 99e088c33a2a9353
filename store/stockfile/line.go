package stockfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"onhand/models"
)

// InvoiceKind is what an invoice did to the stock.
type InvoiceKind string

// The kinds of invoice.
const (
	// Sale: units were sold.
	Sale InvoiceKind = "SALE"
	// Cancellation: units came back. The invoice number begins with C.
	Cancellation InvoiceKind = "CANCELLATION"
	// Adjustment: units were written off ("damaged", "thrown away"). The quantity is
	// negative, and the invoice number does not begin with C.
	Adjustment InvoiceKind = "ADJUSTMENT"
)

// columns is the header of the Online Retail file.
var columns = []string{
	"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
}

// The indexes of the columns that are read.
const (
	columnInvoice = iota
	columnProduct
	columnDescription
	columnQuantity
	columnTime
	_ // the price
	columnCustomer
)

// timeLayouts are those of the published versions of the file. None has a zone;
// times are read as UTC.
var timeLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006 15:04"}

// retailLine is one parsed line of the Online Retail file.
type retailLine struct {
	number      int // in the file; the header is 1
	invoice     string
	kind        InvoiceKind
	productID   string
	description string
	units       int // above zero for every kind
	time        time.Time
	customerID  string
}

// lineReader reads the Online Retail file line by line.
type lineReader struct {
	csv     *csv.Reader
	limiter *recordLimiter
	lines   int
}

// newLineReader opens the file, which may be compressed, and checks its header.
func newLineReader(r io.Reader) (*lineReader, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, err
	}
	limiter := newRecordLimiter(plain)
	c := csv.NewReader(limiter)
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // parseRetailLine checks it, so that the next line is read
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
	return &lineReader{csv: c, limiter: limiter}, nil
}

// next returns the next line, or io.EOF after the last. After a *LineError the
// next line can be read; any other error ends the file.
func (lr *lineReader) next() (retailLine, error) {
	lr.limiter.next()
	record, err := lr.csv.Read()
	if errors.Is(err, io.EOF) {
		return retailLine{}, io.EOF
	}
	if lr.lines++; lr.lines > linesMax {
		return retailLine{}, fmt.Errorf("more than %d lines", linesMax)
	}
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return retailLine{}, &LineError{Line: syntax.StartLine, Err: syntax.Err}
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

// parseRetailLine parses one record. It copies what it keeps, because the
// record's memory is reused.
func parseRetailLine(record []string) (retailLine, error) {
	if len(record) != len(columns) {
		return retailLine{}, fmt.Errorf("%d columns, want %d", len(record), len(columns))
	}
	invoice, err := parseID("InvoiceNo", record[columnInvoice])
	if err != nil {
		return retailLine{}, err
	}
	product, err := parseID("StockCode", record[columnProduct])
	if err != nil {
		return retailLine{}, err
	}
	description := strings.TrimSpace(record[columnDescription])
	if err := checkText("Description", description); err != nil {
		return retailLine{}, err
	}
	kind, units, err := parseUnits(invoice, record[columnQuantity])
	if err != nil {
		return retailLine{}, err
	}
	at, err := parseTime(record[columnTime])
	if err != nil {
		return retailLine{}, err
	}
	return retailLine{
		invoice: strings.Clone(invoice), kind: kind, productID: strings.Clone(product), units: units, time: at,
		description: strings.Clone(description), customerID: strings.Clone(strings.TrimSpace(record[columnCustomer])),
	}, nil
}

// parseUnits parses the Quantity. Its sign and the invoice number give the kind.
func parseUnits(invoice, value string) (kind InvoiceKind, units int, err error) {
	quantity, err := strconv.Atoi(value)
	if err != nil || quantity == 0 || quantity < -models.QuantityMax || quantity > models.QuantityMax {
		return "", 0, fmt.Errorf("the Quantity %q must be a whole number other than 0, within ±%d", value, models.QuantityMax)
	}
	switch cancelled := strings.HasPrefix(invoice, "C"); {
	case cancelled && quantity > 0:
		return "", 0, fmt.Errorf("the cancellation %s has the positive Quantity %d", invoice, quantity)
	case cancelled:
		return Cancellation, -quantity, nil
	case quantity < 0:
		return Adjustment, -quantity, nil
	}
	return Sale, quantity, nil
}

func parseTime(value string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("the InvoiceDate %q is not like 2010-12-01T08:26:00", value)
}

// mixedKinds is the error of an invoice with lines of two kinds.
func mixedKinds(line retailLine) *LineError {
	return &LineError{Line: line.number, Err: fmt.Errorf("the invoice %s both sells and writes off", line.invoice)}
}
