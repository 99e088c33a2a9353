package stockfile

import (
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// invoiceJoin is how far apart, in the file's own time, two lines of one invoice may be. In the real file the lines
	// of 43 invoices differ by one minute, and one invoice (542806) has another in its middle: taking only neighbours
	// together would sell it in two parts.
	invoiceJoin = time.Minute
	// openInvoicesMax is how many invoices may be unfinished at once; the real file needs 10.
	openInvoicesMax = 1000
	// invoiceLinesMax is how many lines one invoice may have; the real file has at most 1,114.
	invoiceLinesMax = 10_000
)

// Invoice is all lines of one invoice number.
type Invoice struct {
	Number     string
	Kind       InvoiceKind
	Time       time.Time // of its first line, in the shop's own time read as UTC
	CustomerID string    // empty where the file has none
	// Lines are in file order, repeated products and all.
	Lines []InvoiceLine
}

// InvoiceLine is one product of an invoice.
type InvoiceLine struct {
	ProductID string
	Units     int // above zero, whatever the kind
}

// ReadInvoices reads the Online Retail file, plain or compressed with gzip, and calls each with every invoice, in the
// order of their first lines, which is the order of time. It keeps only the invoices of about a minute, and the
// numbers of those already handed out.
//
// It ends at the first error: that of each as it is, or a *LineError for a bad line, a line that is older than the one
// before it, or a line of an invoice that was already handed out. Invoices may have been handed out by then, so check
// a file with [ReadOnlineRetail] first where that matters.
func ReadInvoices(r io.Reader, each func(Invoice) error) error {
	lines, err := newLineReader(r)
	if err != nil {
		return err
	}
	j := invoiceJoiner{each: each, done: map[string]struct{}{}}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return j.closeBefore(j.clock.Add(2 * invoiceJoin))
		}
		if err != nil {
			return err
		}
		if err := j.add(line); err != nil {
			return err
		}
	}
}

// invoiceJoiner holds invoices open until time has passed them.
type invoiceJoiner struct {
	each  func(Invoice) error
	open  []*openInvoice // by first line
	done  map[string]struct{}
	clock time.Time // of the line read last
}

type openInvoice struct {
	Invoice
	last time.Time
}

func (j *invoiceJoiner) add(line retailLine) error {
	if line.time.Before(j.clock) {
		return &LineError{Line: line.number, Err: errors.New("older than the line before it; sort the file by time")}
	}
	if line.time.After(j.clock) {
		j.clock = line.time
		if err := j.closeBefore(line.time); err != nil {
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
	invoice.last = line.time
	return nil
}

// invoice finds the open invoice of a line, or opens it. The newest are looked at first: nearly every line belongs to
// the last one.
func (j *invoiceJoiner) invoice(line retailLine) (*openInvoice, error) {
	for i := len(j.open) - 1; i >= 0; i-- {
		if j.open[i].Number == line.invoice {
			return j.open[i], nil
		}
	}
	if _, ok := j.done[line.invoice]; ok {
		return nil, fmt.Errorf("the invoice %s was over more than %s ago", line.invoice, invoiceJoin)
	}
	if len(j.open) == openInvoicesMax {
		return nil, fmt.Errorf("more than %d invoices at once", openInvoicesMax)
	}
	if len(j.done)+len(j.open) == invoicesMax {
		return nil, fmt.Errorf("more than %d invoices", invoicesMax)
	}
	opened := &openInvoice{Invoice: Invoice{
		Number: line.invoice, Kind: line.kind, Time: line.time, CustomerID: line.customerID,
	}}
	j.open = append(j.open, opened)
	return opened, nil
}

// closeBefore hands out the invoices that no line at now can belong to any more. One that is still growing holds back
// those after it, so that the order stays that of the first lines.
func (j *invoiceJoiner) closeBefore(now time.Time) error {
	for len(j.open) > 0 && j.open[0].last.Add(invoiceJoin).Before(now) {
		first := j.open[0]
		j.open = j.open[1:]
		j.done[first.Number] = struct{}{}
		if err := j.each(first.Invoice); err != nil {
			return err
		}
	}
	return nil
}
