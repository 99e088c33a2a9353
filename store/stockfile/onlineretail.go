package stockfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"onhand/models"
)

// descriptionsMax is how many different descriptions of one product are counted; the real file has at most 8.
const descriptionsMax = 64

// InvoiceCount is how often one kind of invoice appears.
type InvoiceCount struct {
	Invoices int
	Lines    int
	Units    int
}

// Summary is what a file holds.
type Summary struct {
	Lines         int
	Products      int
	Sales         InvoiceCount
	Cancellations InvoiceCount
	Adjustments   InvoiceCount
	// LinesPerInvoiceMax is the size of the largest invoice.
	LinesPerInvoiceMax int
	// OpeningUnits is the sum of the rows' available units.
	OpeningUnits int
	// First and Last are the times of the earliest and the latest line, in the shop's own time read as UTC.
	First, Last time.Time
}

// ReadOnlineRetail computes an opening stock from the UCI Online Retail file, plain or compressed with gzip: for every
// product the units it sells and writes off, or a fraction of that, all at [OnlineRetailLocation]. Rows are sorted by
// product id. The lines may come in any order.
//
// Every bad line is an error: a *BadLinesError names the first of them, and then there are no rows.
//
// Source: Chen, D. (2015), Online Retail, UCI Machine Learning Repository, doi:10.24432/C5BW33.
func ReadOnlineRetail(r io.Reader, opening Opening) ([]models.OpeningRow, Summary, error) {
	if err := opening.check(); err != nil {
		return nil, Summary{}, err
	}
	lines, err := newLineReader(r)
	if err != nil {
		return nil, Summary{}, err
	}
	year := retailYear{products: map[string]*retailProduct{}, invoices: map[string]*retailInvoice{}}
	var bad BadLinesError
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = year.add(line)
		}
		var lineError *LineError
		if errors.As(err, &lineError) {
			bad.add(lineError)
		} else if err != nil {
			return nil, Summary{}, err
		}
	}
	if len(bad.Lines) > 0 {
		return nil, Summary{}, &bad
	}
	return year.close(opening)
}

// retailYear adds up a file.
type retailYear struct {
	products map[string]*retailProduct
	invoices map[string]*retailInvoice
	summary  Summary
}

type retailProduct struct {
	need         int // units sold and written off
	descriptions []describedTimes
}

type describedTimes struct {
	description string
	times       int
}

type retailInvoice struct {
	kind  InvoiceKind
	lines int
}

// add counts one line in. A *LineError says that the line contradicts the lines before it.
func (y *retailYear) add(line retailLine) error {
	invoice := y.invoices[line.invoice]
	if invoice == nil {
		if len(y.invoices) == invoicesMax {
			return fmt.Errorf("more than %d invoices", invoicesMax)
		}
		invoice = &retailInvoice{kind: line.kind}
		y.invoices[line.invoice] = invoice
		y.summary.of(line.kind).Invoices++
	}
	if invoice.kind != line.kind {
		return mixedKinds(line)
	}
	product := y.products[line.productID]
	if product == nil {
		if len(y.products) == productsMax {
			return fmt.Errorf("more than %d products", productsMax)
		}
		product = &retailProduct{}
		y.products[line.productID] = product
	}
	product.describe(line.description)
	if line.kind != Cancellation {
		product.need += line.units
	}
	if product.need > models.QuantityMax {
		return &LineError{Line: line.number, Err: fmt.Errorf("%s needs more than %d units", line.productID, models.QuantityMax)}
	}
	invoice.lines++
	y.count(line, invoice.lines)
	return nil
}

// count keeps the summary.
func (y *retailYear) count(line retailLine, invoiceLines int) {
	s := &y.summary
	if s.Lines == 0 || line.time.Before(s.First) {
		s.First = line.time
	}
	if line.time.After(s.Last) {
		s.Last = line.time
	}
	s.Lines++
	s.of(line.kind).Lines++
	s.of(line.kind).Units += line.units
	s.LinesPerInvoiceMax = max(s.LinesPerInvoiceMax, invoiceLines)
}

// close turns the sums into rows.
func (y *retailYear) close(opening Opening) ([]models.OpeningRow, Summary, error) {
	location := OnlineRetailLocation().LocationID
	rows := make([]models.OpeningRow, 0, len(y.products))
	for id, product := range y.products {
		row := models.OpeningRow{ProductID: id, Title: product.title(), LocationID: location, Available: opening.of(product.need)}
		y.summary.OpeningUnits += row.Available
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b models.OpeningRow) int { return cmp.Compare(a.ProductID, b.ProductID) })
	y.summary.Products = len(rows)
	return rows, y.summary, nil
}

// of returns the counter of one kind.
func (s *Summary) of(kind InvoiceKind) *InvoiceCount {
	switch kind {
	case Cancellation:
		return &s.Cancellations
	case Adjustment:
		return &s.Adjustments
	default:
		return &s.Sales
	}
}

// describe counts a description; an empty one says nothing.
func (p *retailProduct) describe(description string) {
	if description == "" {
		return
	}
	for i := range p.descriptions {
		if p.descriptions[i].description == description {
			p.descriptions[i].times++
			return
		}
	}
	if len(p.descriptions) < descriptionsMax {
		p.descriptions = append(p.descriptions, describedTimes{description, 1})
	}
}

// title is the most frequent description; of equals the one that was seen first.
func (p *retailProduct) title() string {
	best := describedTimes{}
	for _, d := range p.descriptions {
		if d.times > best.times {
			best = d
		}
	}
	return best.description
}

// mixedKinds is the error of an invoice that is two things at once.
func mixedKinds(line retailLine) *LineError {
	return &LineError{Line: line.number, Err: fmt.Errorf("the invoice %s both sells and writes off", line.invoice)}
}
