package main

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"onhand/bench/loadgen"
	"onhand/models"
	"onhand/store/stockfile"
)

// kindsMax bounds how many kinds a kindCounts keeps apart, so that a server cannot make it grow with ever new codes.
const kindsMax = 100

// kindCounts counts things by kind. It is safe for concurrent use.
type kindCounts struct {
	mu     sync.Mutex
	byKind map[string]int
}

func newKindCounts() *kindCounts { return &kindCounts{byKind: map[string]int{}} }

func (c *kindCounts) add(kind string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.byKind[kind]; !known && len(c.byKind) >= kindsMax {
		kind = "others"
	}
	c.byKind[kind] += n
}

func (c *kindCounts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byKind)
}

func (c *kindCounts) total() int {
	n := 0
	for _, count := range c.all() {
		n += count
	}
	return n
}

// productTotals is what the server acknowledged for one product, in units.
type productTotals struct {
	opening, sold, returned, writtenOff int
}

// available is what there must be to sell.
func (t productTotals) available() int { return t.opening + t.returned - t.sold - t.writtenOff }

// expectedStock is the stock that there must be, from what the server acknowledged. The server's own stock is audited
// against it. It is safe for concurrent use.
type expectedStock struct {
	mu       sync.Mutex
	products map[string]*productTotals
}

// newExpectedStock has the products of the file with their opening stock.
func newExpectedStock(rows []models.OpeningRow) *expectedStock {
	e := &expectedStock{products: make(map[string]*productTotals, len(rows))}
	for _, row := range rows {
		e.products[row.ProductID] = &productTotals{opening: row.Available}
	}
	return e
}

// add adds lines that were acknowledged.
func (e *expectedStock) add(kind stockfile.InvoiceKind, lines []stockfile.InvoiceLine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range lines {
		t := e.products[line.ProductID]
		if t == nil { // the file changed while it was read
			t = &productTotals{}
			e.products[line.ProductID] = t
		}
		switch kind {
		case stockfile.Cancellation:
			t.returned += line.Units
		case stockfile.Adjustment:
			t.writtenOff += line.Units
		default:
			t.sold += line.Units
		}
	}
}

// product returns one product's totals; ok is false for a product that is not in the file.
func (e *expectedStock) product(id string) (t productTotals, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.products[id]; p != nil {
		return *p, true
	}
	return productTotals{}, false
}

// total adds up all products.
func (e *expectedStock) total() (sum productTotals) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.products {
		sum.opening += t.opening
		sum.sold += t.sold
		sum.returned += t.returned
		sum.writtenOff += t.writtenOff
	}
	return sum
}

// invoiceOutcome is how an invoice ended. A later one is worse.
type invoiceOutcome int

const (
	// done: the server did it.
	done invoiceOutcome = iota
	// short: there was not enough, and nothing was done.
	short
	// refused: the server refused it for another reason, and nothing was done.
	refused
	// unknown: it may have been done or not.
	unknown
)

// tally is what the run counts. It is safe for concurrent use.
type tally struct {
	invoices, lines                atomic.Int64 // finished, whatever the outcome
	sales, returns, writeOffs      atomic.Int64 // done
	shortages, shortWriteOffs      atomic.Int64
	refused, unknown               atomic.Int64
	replayed                       atomic.Int64 // calls answered from an idempotency key
	split                          atomic.Int64 // invoices too large for one call
	lagMax                         atomic.Int64 // nanoseconds after the file's clock
	reserve, commit, adjust, whole loadgen.Histogram
	recent                         loadgen.Histogram // calls that change stock, since the last line of progress
	retries, errors                *kindCounts
}

func newTally() *tally { return &tally{retries: newKindCounts(), errors: newKindCounts()} }

// finish counts an invoice.
func (t *tally) finish(invoice stockfile.Invoice, outcome invoiceOutcome, took time.Duration) {
	t.invoices.Add(1)
	t.lines.Add(int64(len(invoice.Lines)))
	t.whole.Add(took)
	switch {
	case outcome == unknown:
		t.unknown.Add(1)
	case outcome == refused:
		t.refused.Add(1)
	case outcome == short && invoice.Kind == stockfile.Sale:
		t.shortages.Add(1)
	case outcome == short:
		t.shortWriteOffs.Add(1)
	case invoice.Kind == stockfile.Cancellation:
		t.returns.Add(1)
	case invoice.Kind == stockfile.Adjustment:
		t.writeOffs.Add(1)
	default:
		t.sales.Add(1)
	}
}

// lagged keeps the largest lag.
func (t *tally) lagged(by time.Duration) {
	for {
		old := t.lagMax.Load()
		if int64(by) <= old || t.lagMax.CompareAndSwap(old, int64(by)) {
			return
		}
	}
}
