package stockfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"onhand/models"
	"onhand/store/stockfile/delimited"
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
	*table
	lines int
}

// newLineReader opens the file, which may be compressed, and checks its header.
func newLineReader(r io.Reader) (*lineReader, error) {
	lines, err := delimited.NewLines(r)
	if err != nil {
		return nil, err
	}
	t, err := newTable(lines)
	if err != nil {
		return nil, err
	}
	for i, name := range columns {
		if i >= len(t.names) || t.names[i] != strings.ToLower(name) {
			return nil, fmt.Errorf("not an Online Retail file: the header must be %s", strings.Join(columns, ","))
		}
	}
	t.keys, t.quantities = []string{"invoiceno", "stockcode", "invoicedate"}, []string{"quantity"}
	return &lineReader{table: t}, nil
}

// next returns the next line, or io.EOF after the last. After a *LineError the
// next line can be read; any other error ends the file.
func (lr *lineReader) next() (retailLine, error) {
	for {
		problem, err := lr.read()
		if err != nil {
			return retailLine{}, err
		}
		if problem == "" && lr.record.Blank() {
			continue
		}
		if lr.lines++; lr.lines > linesMax {
			return retailLine{}, fmt.Errorf("more than %d lines", linesMax)
		}
		if problem != "" {
			return retailLine{}, &LineError{Line: lr.record.First(), Err: errors.New(problem)}
		}
		line, err := parseRetailLine(lr.record.Cells)
		if err != nil {
			return retailLine{}, &LineError{Line: lr.record.First(), Err: err}
		}
		line.number = lr.record.First()
		return line, nil
	}
}

// parseRetailLine parses one record. It copies what it keeps, because a cell is part
// of its line's memory. Blanks around ids are dropped: the published file has some.
func parseRetailLine(record []string) (retailLine, error) {
	cells := make([]string, len(columns)) // missing ones are empty
	for i := range min(len(record), len(cells)) {
		cells[i] = strings.TrimSpace(record[i])
	}
	invoice, err := parseID("InvoiceNo", cells[columnInvoice])
	if err != nil {
		return retailLine{}, err
	}
	product, err := parseProductID("StockCode", cells[columnProduct])
	if err != nil {
		return retailLine{}, err
	}
	description := cells[columnDescription]
	if problem := models.CheckText(description, models.TextLengthMax); problem != "" {
		return retailLine{}, fmt.Errorf("the Description %s", problem)
	}
	kind, units, err := parseUnits(invoice, cells[columnQuantity])
	if err != nil {
		return retailLine{}, err
	}
	at, err := parseTime(cells[columnTime])
	if err != nil {
		return retailLine{}, err
	}
	return retailLine{
		invoice: strings.Clone(invoice), kind: kind, productID: strings.Clone(product), units: units, time: at,
		description: strings.Clone(description), customerID: strings.Clone(cells[columnCustomer]),
	}, nil
}

// parseUnits parses the Quantity. Its sign and the invoice number give the kind.
func parseUnits(invoice, value string) (kind InvoiceKind, units int, err error) {
	count, err := parseCount("Quantity", value)
	quantity := count.Units
	if err != nil || quantity == 0 {
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
