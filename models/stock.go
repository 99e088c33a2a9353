package models

import (
	"math"
	"time"
)

// StockStatus is what a storefront shows beside a product.
type StockStatus string

// The stock statuses.
const (
	InStock    StockStatus = "IN_STOCK"
	LowStock   StockStatus = "LOW_STOCK"
	OutOfStock StockStatus = "OUT_OF_STOCK"
	Backorder  StockStatus = "BACKORDER"
)

// ReadSource tells where an answer was read.
type ReadSource string

// The read sources.
const (
	FromCache    ReadSource = "CACHE"
	FromDatabase ReadSource = "DATABASE"
)

// Stock is one product over all its locations at one version: the unit that
// is cached, published and watched. It is immutable once made; share it freely.
type Stock struct {
	Product
	// Levels are by location priority, then id.
	Levels []Level
	// Epoch names the history that Version belongs to: versions compare only
	// within one epoch. See onhand/store/database.
	Epoch string
	// AsOf is the database's clock when this was read or committed.
	AsOf   time.Time
	Source ReadSource
	// PreviousStatus is what a watcher was told of the product before; nil
	// outside of watches.
	PreviousStatus *StockStatus

	// elsewhere is what locations that In left out owe, at most zero.
	elsewhere int
}

// sourcing is what a buyer may draw on.
func (s *Stock) sourcing() Sourcing {
	from := SourcingOf(s.Product, s.Levels, nil)
	from.Floor = min(0, from.Floor-s.elsewhere)
	return from
}

// Quantity is the available total over active locations, in units.
func (s *Stock) Quantity() int { return s.sourcing().Quantity() }

// Total adds up each state over every level, active or not.
func (s *Stock) Total() Quantities {
	var q Quantities
	for _, l := range s.Levels {
		q = q.Plus(l.Quantities)
	}
	return q
}

// AvailableForSale tells whether a shopper may buy at least one: exactly when
// a hold of one would be given.
func (s *Stock) AvailableForSale() bool {
	return !s.Tracked || s.sourcing().Sellable() > 0
}

// Status sums the stock up for display.
func (s *Stock) Status() StockStatus {
	from := s.sourcing()
	n := from.Quantity()
	switch {
	case !s.Tracked:
		return InStock
	case n > max(0, s.LowStockThreshold):
		return InStock
	case n > 0:
		return LowStock
	case from.Sellable() > 0:
		return Backorder
	default:
		return OutOfStock
	}
}

// In narrows the stock to the locations of a channel. Settings and version
// stay the product's, and what other locations owe still uses up its backorder
// limit.
func (s *Stock) In(members map[string]bool) *Stock {
	narrow := *s
	narrow.Levels = nil
	for _, l := range s.Levels {
		if members[l.LocationID] {
			narrow.Levels = append(narrow.Levels, l)
		} else {
			narrow.elsewhere += min(0, l.Available)
		}
	}
	return &narrow
}

// QuantityAvailable is Quantity for display: nil when the product is not tracked.
func (s *Stock) QuantityAvailable() *int { return s.shown(s.Quantity()) }

// OnHand is everything physically there; nil when the product is not tracked.
func (s *Stock) OnHand() *int { return s.shown(s.Total().OnHand()) }

// Reserved is what active reservations hold; nil when the product is not tracked.
func (s *Stock) Reserved() *int { return s.shown(s.Total().Reserved) }

// Committed is what is ordered and not shipped; nil when the product is not tracked.
func (s *Stock) Committed() *int { return s.shown(s.Total().Committed) }

// Incoming is what is on the way; nil when the product is not tracked.
func (s *Stock) Incoming() *int { return s.shown(s.Total().Incoming) }

func (s *Stock) shown(n int) *int {
	if !s.Tracked {
		return nil
	}
	n = Units(n)
	return &n
}

// Units fits a total into the 32 bits of a GraphQL Int.
func Units(n int) int { return min(max(n, math.MinInt32), math.MaxInt32) }

// Change is one outbox row: the product changed, and this is its version now.
type Change struct {
	ProductID string
	Version   int64
}
