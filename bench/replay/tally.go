package main

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/stockfile"
)

// kindsMax bounds how many kinds a counts keeps apart; a server cannot make it grow with ever new codes.
const kindsMax = 100

// counts counts things by kind. Safe for concurrent use.
type counts struct {
	mu     sync.Mutex
	byKind map[string]int
}

func newCounts() *counts { return &counts{byKind: map[string]int{}} }

func (c *counts) add(kind string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.byKind[kind]; !known && len(c.byKind) >= kindsMax {
		kind = "others"
	}
	c.byKind[kind] += n
}

func (c *counts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byKind)
}

func (c *counts) total() int {
	n := 0
	for _, count := range c.all() {
		n += count
	}
	return n
}

// account is what the server acknowledged for one product, in units.
type account struct {
	opening, sold, returned, writtenOff int
}

// available is what there must be to sell.
func (a account) available() int { return a.opening + a.returned - a.sold - a.writtenOff }

// books are the second bookkeeping, against which the server's is audited. Safe for concurrent use.
type books struct {
	mu       sync.Mutex
	accounts map[string]*account
}

// newBooks opens an account for each product of the file.
func newBooks(rows []models.OpeningRow) *books {
	b := &books{accounts: make(map[string]*account, len(rows))}
	for _, row := range rows {
		b.accounts[row.ProductID] = &account{opening: row.Available}
	}
	return b
}

// post enters lines that were acknowledged.
func (b *books) post(kind stockfile.InvoiceKind, lines []stockfile.InvoiceLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range lines {
		a := b.accounts[line.ProductID]
		if a == nil { // the file changed while it was read
			a = &account{}
			b.accounts[line.ProductID] = a
		}
		switch kind {
		case stockfile.Cancellation:
			a.returned += line.Units
		case stockfile.Adjustment:
			a.writtenOff += line.Units
		default:
			a.sold += line.Units
		}
	}
}

// of returns one product's account; ok is false for a product that is not in the file.
func (b *books) of(productID string) (a account, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.accounts[productID]; p != nil {
		return *p, true
	}
	return account{}, false
}

// sums adds all accounts up.
func (b *books) sums() (sum account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		sum.opening += a.opening
		sum.sold += a.sold
		sum.returned += a.returned
		sum.writtenOff += a.writtenOff
	}
	return sum
}

// outcome is how an invoice ended.
type outcome int

const (
	// settled: the server did it.
	settled outcome = iota
	// short: there was not enough, and nothing was done.
	short
	// refused: it was turned down for another reason, and nothing was done.
	refused
	// unsettled: nobody knows whether it was done.
	unsettled
)

// tally is what the run counts. Safe for concurrent use.
type tally struct {
	invoices, lines                atomic.Int64 // finished, whatever the outcome
	sales, returns, writeOffs      atomic.Int64 // settled
	shortages, shortWriteOffs      atomic.Int64
	refused, unsettled             atomic.Int64
	replayed                       atomic.Int64 // calls answered from an idempotency key
	split                          atomic.Int64 // invoices too large for one call
	lagMax                         atomic.Int64 // nanoseconds behind the file's clock
	reserve, commit, adjust, whole histogram
	lately                         histogram // since the last line of progress: calls that change stock
	retries, errors                *counts
}

func newTally() *tally { return &tally{retries: newCounts(), errors: newCounts()} }

// finish counts an invoice.
func (t *tally) finish(invoice stockfile.Invoice, how outcome, took time.Duration) {
	t.invoices.Add(1)
	t.lines.Add(int64(len(invoice.Lines)))
	t.whole.add(took)
	switch {
	case how == unsettled:
		t.unsettled.Add(1)
	case how == refused:
		t.refused.Add(1)
	case how == short && invoice.Kind == stockfile.Sale:
		t.shortages.Add(1)
	case how == short:
		t.shortWriteOffs.Add(1)
	case invoice.Kind == stockfile.Cancellation:
		t.returns.Add(1)
	case invoice.Kind == stockfile.Adjustment:
		t.writeOffs.Add(1)
	default:
		t.sales.Add(1)
	}
}

// late keeps the largest lag.
func (t *tally) late(by time.Duration) {
	for {
		old := t.lagMax.Load()
		if int64(by) <= old || t.lagMax.CompareAndSwap(old, int64(by)) {
			return
		}
	}
}
