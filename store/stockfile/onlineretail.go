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

const (
	// productsMax bounds the products of a file, which are kept in memory.
	productsMax = 1_000_000
	// descriptionsMax bounds the descriptions of one product that are counted; the
	// real file has up to 8.
	descriptionsMax = 64
)

// InvoiceCount counts the invoices of one kind.
type InvoiceCount struct {
	Invoices int
	Lines    int
	Units    int
}

// Summary is what a file of invoices contains.
type Summary struct {
	Lines         int
	Products      int
	Sales         InvoiceCount
	Cancellations InvoiceCount
	Adjustments   InvoiceCount
	// LinesPerInvoiceMax is the size of the largest invoice.
	LinesPerInvoiceMax int
	// OpeningUnits is the sum of the available units of all opening rows.
	OpeningUnits int
	// First and Last are the earliest and the latest time of a line, in the shop's
	// time read as UTC.
	First, Last time.Time
}

// ReadOnlineRetail computes the opening stock from the UCI Online Retail file,
// which may be compressed with gzip. Each product gets the units that the year
// sells and writes off, or a fraction of them, at [OnlineRetailLocation]. Rows are
// sorted by product id. The lines of the file may be in any order.
//
// With bad lines there are no rows, and the error is a *BadLinesError.
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
	totals := retailTotals{products: map[string]*retailProduct{}, invoices: map[string]*retailInvoice{}}
	var bad BadLinesError
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = totals.add(line)
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
	rows := totals.openingRows(opening)
	return rows, totals.summary, nil
}

// retailTotals adds up the lines of a file.
type retailTotals struct {
	products map[string]*retailProduct
	invoices map[string]*retailInvoice
	summary  Summary
}

type retailProduct struct {
	demand       int // units sold and written off
	descriptions []descriptionCount
}

type descriptionCount struct {
	description string
	lines       int
}

type retailInvoice struct {
	kind  InvoiceKind
	lines int
}

// add adds one line. A *LineError says that the line contradicts earlier ones.
func (t *retailTotals) add(line retailLine) error {
	invoice := t.invoices[line.invoice]
	if invoice == nil {
		if len(t.invoices) == invoicesMax {
			return fmt.Errorf("more than %d invoices", invoicesMax)
		}
		invoice = &retailInvoice{kind: line.kind}
		t.invoices[line.invoice] = invoice
		t.summary.of(line.kind).Invoices++
	}
	if invoice.kind != line.kind {
		return mixedKinds(line)
	}
	product := t.products[line.productID]
	if product == nil {
		if len(t.products) == productsMax {
			return fmt.Errorf("more than %d products", productsMax)
		}
		product = &retailProduct{}
		t.products[line.productID] = product
	}
	product.addDescription(line.description)
	if line.kind != Cancellation {
		product.demand += line.units
	}
	if product.demand > models.QuantityMax {
		return &LineError{Line: line.number, Err: fmt.Errorf("%s needs more than %d units", line.productID, models.QuantityMax)}
	}
	invoice.lines++
	t.summary.add(line, invoice.lines)
	return nil
}

// add counts one line, and the lines of its invoice so far.
func (s *Summary) add(line retailLine, invoiceLines int) {
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

// openingRows makes the rows, and completes the summary.
func (t *retailTotals) openingRows(opening Opening) []models.OpeningRow {
	location := OnlineRetailLocation().LocationID
	rows := make([]models.OpeningRow, 0, len(t.products))
	for id, product := range t.products {
		row := models.OpeningRow{ProductID: id, Title: product.title(), LocationID: location, Available: opening.of(product.demand)}
		t.summary.OpeningUnits += row.Available
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b models.OpeningRow) int { return cmp.Compare(a.ProductID, b.ProductID) })
	t.summary.Products = len(rows)
	return rows
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

// addDescription counts a description, unless it is empty.
func (p *retailProduct) addDescription(description string) {
	if description == "" {
		return
	}
	for i := range p.descriptions {
		if p.descriptions[i].description == description {
			p.descriptions[i].lines++
			return
		}
	}
	if len(p.descriptions) < descriptionsMax {
		p.descriptions = append(p.descriptions, descriptionCount{description, 1})
	}
}

// title is the most frequent description; of equally frequent ones the first.
func (p *retailProduct) title() string {
	best := descriptionCount{}
	for _, d := range p.descriptions {
		if d.lines > best.lines {
			best = d
		}
	}
	return best.description
}
