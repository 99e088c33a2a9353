package stockfile

import (
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// invoiceGapMax is how far apart two lines of one invoice may be, in the file's
	// time. In the real file the lines of 43 invoices are a minute apart, and one
	// invoice (542806) has another one between its lines. Joining only consecutive
	// lines would split it.
	invoiceGapMax = time.Minute
	// openInvoicesMax bounds the unfinished invoices; the real file needs 10.
	openInvoicesMax = 1000
	// invoiceLinesMax bounds the lines of one invoice; the real file has up to 1,114.
	invoiceLinesMax = 10_000
	// invoicesMax bounds the invoice numbers of a file, which are kept in memory.
	invoicesMax = 1_000_000
)

// Invoice is all lines with one invoice number.
type Invoice struct {
	Number     string
	Kind       InvoiceKind
	Time       time.Time // of its first line, in the shop's time read as UTC
	CustomerID string    // empty where the file has none
	// Lines are in file order. A product may be in several lines.
	Lines []InvoiceLine
}

// InvoiceLine is one product of an invoice.
type InvoiceLine struct {
	ProductID string
	Units     int // above zero for every kind
}

// ReadInvoices reads the Online Retail file, which may be compressed with gzip,
// and calls visit with every invoice, in the order of their first lines. In
// memory are the invoices of about a minute, and the numbers of earlier ones.
//
// It stops at the first error: that of visit, or a *LineError for a bad line, for
// a line older than the one before it, or for a line of an invoice that was
// already visited. Invoices before it have been visited by then; check the file
// with [ReadOnlineRetail] first where that matters.
func ReadInvoices(r io.Reader, visit func(Invoice) error) error {
	lines, err := newLineReader(r)
	if err != nil {
		return err
	}
	j := invoiceJoiner{visit: visit, finished: map[string]struct{}{}}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return j.finishBefore(j.clock.Add(2 * invoiceGapMax))
		}
		if err != nil {
			return err
		}
		if err := j.add(line); err != nil {
			return err
		}
	}
}

// invoiceJoiner joins lines to invoices. An invoice is finished when the file's
// time has passed its last line by invoiceGapMax.
type invoiceJoiner struct {
	visit    func(Invoice) error
	open     []*openInvoice // by first line
	finished map[string]struct{}
	clock    time.Time // of the last line
}

type openInvoice struct {
	Invoice
	lastLine time.Time
}

func (j *invoiceJoiner) add(line retailLine) error {
	if line.time.Before(j.clock) {
		return &LineError{Line: line.number, Err: errors.New("older than the line before it; sort the file by time")}
	}
	if line.time.After(j.clock) {
		j.clock = line.time
		if err := j.finishBefore(line.time); err != nil {
			return err
		}
	}
	invoice, err := j.invoice(line)
	if err != nil {
		return &LineError{Line: line.number, Err: err}
	}
	if invoice.Kind != line.kind {
		return mixedKinds(line)
	}
	if len(invoice.Lines) == invoiceLinesMax {
		return &LineError{Line: line.number, Err: fmt.Errorf("the invoice %s has more than %d lines", line.invoice, invoiceLinesMax)}
	}
	invoice.Lines = append(invoice.Lines, InvoiceLine{ProductID: line.productID, Units: line.units})
	invoice.lastLine = line.time
	return nil
}

// invoice finds the open invoice of a line, or opens one. It searches the newest
// first, because nearly every line belongs to the last one.
func (j *invoiceJoiner) invoice(line retailLine) (*openInvoice, error) {
	for i := len(j.open) - 1; i >= 0; i-- {
		if j.open[i].Number == line.invoice {
			return j.open[i], nil
		}
	}
	if _, ok := j.finished[line.invoice]; ok {
		return nil, fmt.Errorf("the invoice %s was over more than %s ago", line.invoice, invoiceGapMax)
	}
	if len(j.open) == openInvoicesMax {
		return nil, fmt.Errorf("more than %d invoices at once", openInvoicesMax)
	}
	if len(j.finished)+len(j.open) == invoicesMax {
		return nil, fmt.Errorf("more than %d invoices", invoicesMax)
	}
	opened := &openInvoice{Invoice: Invoice{
		Number: line.invoice, Kind: line.kind, Time: line.time, CustomerID: line.customerID,
	}}
	j.open = append(j.open, opened)
	return opened, nil
}

// finishBefore visits the invoices to which no line at now can belong. An
// unfinished invoice delays those after it, which keeps the order of first lines.
func (j *invoiceJoiner) finishBefore(now time.Time) error {
	for len(j.open) > 0 && j.open[0].lastLine.Add(invoiceGapMax).Before(now) {
		first := j.open[0]
		j.open = j.open[1:]
		j.finished[first.Number] = struct{}{}
		if err := j.visit(first.Invoice); err != nil {
			return err
		}
	}
	return nil
}
