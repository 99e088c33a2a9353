package models

import "slices"

// Outcome is the effect of a batch of writes after its commit.
type Outcome struct {
	// Results has one result per write, in the order of the writes.
	Results []WriteResult
	// Stocks has the committed stock of every product that the batch changed or
	// that a result names. Redis and the subscribers get it.
	Stocks []*Stock
	// Reservations has the reservations that the batch changed. A reservation that
	// an optimistic batch created is left out: its id was not given out yet, so it
	// has no subscriber.
	Reservations []*Reservation
	// Contended reports that another instance changes some of the products too.
	Contended bool
}

// Then merges the outcome of a later transaction into o. The newest stock of each
// product wins. Results are those of later.
func (o Outcome) Then(later Outcome) Outcome {
	if len(o.Reservations) == 0 {
		return later
	}
	later.Stocks = NewestStocks(o.Stocks, later.Stocks)
	later.Reservations = append(o.Reservations, later.Reservations...)
	return later
}

// NewestStocks joins the stocks of two transactions: of a product that both have, only
// the later stock. It changes earlier.
func NewestStocks(earlier, later []*Stock) []*Stock {
	if len(earlier) == 0 {
		return later
	}
	newer := make(map[string]bool, len(later))
	for _, s := range later {
		newer[s.ProductID] = true
	}
	earlier = slices.DeleteFunc(earlier, func(s *Stock) bool { return newer[s.ProductID] })
	return append(earlier, later...)
}
