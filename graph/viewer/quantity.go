package viewer

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/stockbinary"
)

// QuantityCap is the largest quantity that a caller without the scope read:inventory sees,
// in units; zero for no cap. A backorder, which is negative, is capped alike.
type QuantityCap int

// For is the cap that counts for the caller of a request: zero for one that sees exact
// quantities.
func (c QuantityCap) For(ctx context.Context) QuantityCap {
	if c == 0 || guard.Has(ctx, guard.ReadInventory) {
		return 0
	}
	return c
}

// Shown is what the caller sees of a quantity.
func (c QuantityCap) Shown(n int) int {
	if c == 0 {
		return n
	}
	return min(max(n, -int(c)), int(c))
}

// Available is what the caller sees of the units that can be sold; nil when the product is
// not tracked.
func (c QuantityCap) Available(s *models.Stock) *int {
	n := s.QuantityAvailable()
	if n != nil {
		*n = c.Shown(*n)
	}
	return n
}

// Errors are the refusals of a write as the caller sees them. Where a quantity is capped,
// the message has none.
func (c QuantityCap) Errors(errs []models.UserError) []models.UserError {
	if c == 0 || len(errs) == 0 {
		return errs
	}
	shown := make([]models.UserError, len(errs))
	for i, err := range errs {
		shown[i] = c.refusal(err)
	}
	return shown
}

func (c QuantityCap) refusal(err models.UserError) models.UserError {
	switch e := err.(type) {
	case models.InsufficientStockError:
		if n := c.Shown(e.Available); n != e.Available {
			e.Available, e.Message = n, fmt.Sprintf("there are fewer than %d of %q", e.Requested, e.ProductID)
		}
		return e
	case models.StaleQuantityError:
		if n := c.Shown(e.Actual); n != e.Actual {
			e.Actual, e.Message = n, "the quantity is not the expected one"
		}
		return e
	case models.QuantityLimitExceededError: // of all that is reserved at a location, not of this cart
		if e.Limit == models.QuantityMax {
			e.Requested = min(e.Requested, e.Limit)
		}
		return e
	}
	return err
}

// Watch returns a watch of stocks as the caller sees them: without those that look like
// the one before. Without a cap it is the same watch.
func (c QuantityCap) Watch(watch models.Watch[*models.Stock]) models.Watch[*models.Stock] {
	if c == 0 {
		return watch
	}
	return &cappedWatch{Watch: watch, limit: c, seen: map[string]uint64{}}
}

// cappedWatch is a watch of one subscriber, which calls Next from one goroutine at a time.
type cappedWatch struct {
	models.Watch[*models.Stock]
	limit QuantityCap
	seen  map[string]uint64 // by product: what was returned last; at most as many as are watched
}

// Next implements models.Watch.
func (w *cappedWatch) Next(ctx context.Context) (*models.Stock, error) {
	for {
		stock, err := w.Watch.Next(ctx)
		if err != nil || stock == nil {
			return stock, err
		}
		now := w.limit.appearance(stock)
		if before, known := w.seen[stock.ProductID]; known && before == now {
			continue
		}
		w.seen[stock.ProductID] = now
		return stock, nil
	}
}

var appearanceSeed = maphash.MakeSeed()

// appearance is a hash of what a capped caller sees of a stock, without version, time and
// source.
func (c QuantityCap) appearance(s *models.Stock) uint64 {
	settings := *s
	settings.Levels, settings.Version, settings.Epoch, settings.AsOf = nil, 0, "", time.Time{}
	return maphash.Comparable(appearanceSeed, struct {
		settings  stockbinary.Fields
		status    models.StockStatus
		forSale   bool
		available int
	}{stockbinary.Encode(&settings), s.Status(), s.AvailableForSale(), c.Shown(s.Quantity())})
}
