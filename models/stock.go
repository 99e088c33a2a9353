package models

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"onhand/models/channel"
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

// ReadSource is where an answer was read.
type ReadSource string

// The read sources.
const (
	FromCache     ReadSource = "CACHE"
	FromNearCache ReadSource = "NEAR_CACHE"
	FromDatabase  ReadSource = "DATABASE"
)

// Stock is one product over all its locations at one version: the unit that is
// cached, published and watched. Nothing changes it after it is made, so goroutines
// share it.
type Stock struct {
	Product
	// Levels are by location priority, then id.
	Levels []Level
	// Epoch is the database's epoch that Version belongs to. Versions compare only
	// within one epoch. See onhand/store/database.
	Epoch string
	// AsOf is the database's clock when this was read or committed.
	AsOf   time.Time
	Source ReadSource
	// Channel and Moment say what a view shows: the locations of this channel, empty
	// for all; the stock at this time in the past, in milliseconds, nil for live.
	Channel string
	Moment  *time.Time

	// revision is that of the channel; 0 without a channel.
	revision int64
	// buffer is what the channel keeps back of the total.
	buffer int
	// backorderedElsewhere is the sum of negative available at the locations that
	// In left out, at most zero.
	backorderedElsewhere int
	// unplaced: no location is active that could owe units of a product without a level.
	unplaced bool
}

// StockStatusChange is a movement that changed the status of a product.
type StockStatusChange struct {
	// Product has the settings and the version of now.
	Product
	Status, PreviousStatus StockStatus
	// Version is the product's after the movement.
	Version int64
	// OccurredAt is when the movement was decided.
	OccurredAt time.Time
	// Channel is where the status changed; empty for over all locations.
	Channel string
}

// Watch is a stream of values for one subscription: the current one, then newer ones.
type Watch[T any] interface {
	// Next waits for the next value. It returns io.EOF after the last value, or
	// the error that ended the watch.
	Next(ctx context.Context) (T, error)
	// Close ends the watch. It may be called more than once.
	Close()
}

// Change is one outbox row: the product changed, and this is its version now.
type Change struct {
	ProductID string
	Version   int64
}

func (s *Stock) offer() offer {
	o := offerOf(&s.Product, s.Levels, nil)
	o.floor = min(0, o.floor-s.backorderedElsewhere)
	o.buffer = s.buffer
	if s.preorder() && !s.unplaced {
		o.levels = 1 // the level that a reservation makes
	}
	return o
}

// preorder reports whether the product is sold before it has a level.
func (s *Stock) preorder() bool { return len(s.Levels) == 0 && Preorder(s.Product, nil, nil) }

// Quantity is the available total over active locations, in units, without what a
// channel keeps back.
func (s *Stock) Quantity() int { return s.offer().offered() }

// Total adds up each state over every level, active or not.
func (s *Stock) Total() Quantities {
	var q Quantities
	for _, l := range s.Levels {
		q = q.Plus(l.Quantities)
	}
	return q
}

// AvailableForSale reports whether a reservation of one unit would succeed.
func (s *Stock) AvailableForSale() bool {
	return !s.Tracked || s.offer().sellable() > 0
}

// Status sums the stock up for display.
func (s *Stock) Status() StockStatus {
	o := s.offer()
	n := o.offered()
	switch {
	case !s.Tracked:
		return InStock
	case n > max(0, s.LowStockThreshold):
		return InStock
	case n > 0:
		return LowStock
	case o.sellable() > 0:
		return Backorder
	default:
		return OutOfStock
	}
}

// ViewVersion is the version that clients see: of a channel's view it orders the
// channel's revision before the product's version.
func (s *Stock) ViewVersion() int64 { return channel.Version(s.revision, s.Version) }

// In narrows the stock to the locations of a channel: the channel's view of it. Settings
// and version stay the product's; ViewVersion is the view's. Backorders at other locations
// still use up its backorder limit.
func (s *Stock) In(c *ChannelMembers) *Stock {
	narrow := *s
	narrow.Channel, narrow.revision = c.ChannelID, c.Revision
	narrow.buffer = s.Buffers.Of(c.ChannelID, c.Buffer)
	narrow.Levels = make([]Level, 0, len(s.Levels))
	for _, l := range s.Levels {
		if c.Members[l.LocationID] {
			narrow.Levels = append(narrow.Levels, l)
		} else {
			narrow.backorderedElsewhere += min(0, l.Available)
		}
	}
	return &narrow
}

// QuantityAvailable is Quantity for display; nil when the product is not tracked.
func (s *Stock) QuantityAvailable() *int { return s.shown(s.Quantity()) }

// OnHand is everything physically there; nil when the product is not tracked.
func (s *Stock) OnHand() *int { return s.shown(s.Total().OnHand()) }

// Reserved is units of active reservations; nil when the product is not tracked.
func (s *Stock) Reserved() *int { return s.shown(s.Total().Reserved) }

// Committed is units ordered and not shipped; nil when the product is not tracked.
func (s *Stock) Committed() *int { return s.shown(s.Total().Committed) }

// Incoming is units on the way; nil when the product is not tracked.
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

// SetStock sets levels to counted quantities. Each level and state occurs once.
type SetStock struct {
	IdempotencyKey string   `json:"idempotencyKey"`
	Rows           []SetRow `json:"rows"`
	// OnlyNew refuses a row whose level exists and has another quantity than the
	// row. Otherwise units that were sold or reserved since would become stock
	// again.
	OnlyNew     bool        `json:"onlyNew,omitempty"`
	Reason      Reason      `json:"reason"`
	Note        string      `json:"note,omitempty"`
	Reference   string      `json:"reference,omitempty"`
	ErrorPolicy ErrorPolicy `json:"errorPolicy"`
	Actor       string      `json:"-"`
	KeyTerms
}

// SetRow is the counted quantity of one state of one level.
type SetRow struct {
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	State      State  `json:"state"`
	Quantity   int    `json:"quantity"`
	// ChangeFromQuantity is the quantity that the caller expects. The row is refused
	// when the level has, or had at CountedAt, another one. Nil needs IgnoreStale or
	// CountedAt.
	ChangeFromQuantity *int `json:"changeFromQuantity,omitempty"`
	IgnoreStale        bool `json:"ignoreStale,omitempty"`
	// CountedAt is when the units were counted, in milliseconds; nil for now. What the
	// level gained and lost since then is added to Quantity.
	CountedAt *time.Time `json:"-"`
}

// MarshalJSON writes CountedAt as a Patch does.
func (r SetRow) MarshalJSON() ([]byte, error) {
	type fields SetRow
	return json.Marshal(struct {
		fields
		CountedAt Patch[time.Time] `json:"countedAt,omitzero"`
	}{fields(r), Patch[time.Time]{Given: r.CountedAt != nil, Value: r.CountedAt}})
}

// Adjust changes levels by deltas. Rows of the same level add up, in order.
type Adjust struct {
	IdempotencyKey string      `json:"idempotencyKey"`
	Rows           []AdjustRow `json:"rows"`
	Reason         Reason      `json:"reason"`
	Note           string      `json:"note,omitempty"`
	Reference      string      `json:"reference,omitempty"`
	ErrorPolicy    ErrorPolicy `json:"errorPolicy"`
	Actor          string      `json:"-"`
	KeyTerms
}

// AdjustRow is one delta to one state of one level.
type AdjustRow struct {
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	State      State  `json:"state"`
	Delta      int    `json:"delta"`
}

// MoveStock moves units between states, locations, or both at once. Rows are moved
// in order, and each sees the rows before it.
type MoveStock struct {
	IdempotencyKey string      `json:"idempotencyKey"`
	Rows           []MoveRow   `json:"rows"`
	Reason         Reason      `json:"reason"`
	Note           string      `json:"note,omitempty"`
	Reference      string      `json:"reference,omitempty"`
	ErrorPolicy    ErrorPolicy `json:"errorPolicy"`
	Actor          string      `json:"-"`
	KeyTerms
}

// MoveRow moves some units of one product.
type MoveRow struct {
	ProductID string     `json:"productId"`
	Quantity  int        `json:"quantity"`
	From      StockPlace `json:"from"`
	To        StockPlace `json:"to"`
}

// StockPlace is one state of the level at one location.
type StockPlace struct {
	LocationID string `json:"locationId"`
	State      State  `json:"state"`
}

// Key implements Write.
func (w Adjust) Key() string    { return w.IdempotencyKey }
func (w SetStock) Key() string  { return w.IdempotencyKey }
func (w MoveStock) Key() string { return w.IdempotencyKey }

// Kind implements Write.
func (w Adjust) Kind() string    { return "adjust" }
func (w SetStock) Kind() string  { return "set" }
func (w MoveStock) Kind() string { return "move" }

// Size implements Bulk.
func (w Adjust) Size() int    { return len(w.Rows) }
func (w SetStock) Size() int  { return len(w.Rows) }
func (w MoveStock) Size() int { return len(w.Rows) }

// Policy implements Bulk.
func (w Adjust) Policy() ErrorPolicy    { return w.ErrorPolicy }
func (w SetStock) Policy() ErrorPolicy  { return w.ErrorPolicy }
func (w MoveStock) Policy() ErrorPolicy { return w.ErrorPolicy }

// Check implements Write.
func (w Adjust) Check(time.Duration) []UserError {
	return checkStockWrite(w, w.Reason, w.Note, w.Reference)
}

// Check implements Write.
func (w SetStock) Check(time.Duration) []UserError {
	return checkStockWrite(w, w.Reason, w.Note, w.Reference)
}

// Check implements Write.
func (w MoveStock) Check(time.Duration) []UserError {
	return checkStockWrite(w, w.Reason, w.Note, w.Reference)
}

// checkStockWrite checks what all stock writes have in common.
func checkStockWrite(w Bulk, reason Reason, note, reference string) []UserError {
	var c checker
	c.key(w.Key())
	if !reason.callerMayGive() {
		c.add("must be one that a caller can give", "reason")
	}
	c.text(note, TextLengthMax, "note")
	c.text(reference, TextLengthMax, "referenceDocumentUri")
	c.rows(w, StockRowsMax)
	return c.errs
}

// state refuses unknown states, and the two states that always equal the sums of
// active reservations and of open orders.
func (c *checker) state(s State, path ...any) {
	switch {
	case s == Reserved || s == Committed:
		c.add("must not be "+string(s)+": only reservations change that", path...)
	case new(Quantities).Of(s) == nil:
		c.add("must be a state of a level", path...)
	}
}

// CheckRows implements Bulk.
func (w Adjust) CheckRows() RowErrors {
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		c.productID(row.ProductID, "rows", i, "productId")
		c.id(row.LocationID, "rows", i, "locationId")
		c.state(row.State, "rows", i, "state")
		if row.Delta == 0 || row.Delta > QuantityMax || row.Delta < -QuantityMax {
			c.add("must be between 1 and "+strconv.Itoa(QuantityMax)+", or the negative of that", "rows", i, "delta")
		}
	})
}

// CheckRows implements Bulk.
func (w SetStock) CheckRows() RowErrors {
	type target struct {
		product, location string
		state             State
	}
	seen := make(map[target]int, len(w.Rows))
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		c.productID(row.ProductID, "rows", i, "productId")
		c.id(row.LocationID, "rows", i, "locationId")
		c.state(row.State, "rows", i, "state")
		if row.Quantity > QuantityMax || row.Quantity < -QuantityMax {
			c.add("must be at most "+strconv.Itoa(QuantityMax), "rows", i, "quantity")
		}
		switch {
		case row.CountedAt != nil && row.IgnoreStale:
			c.add("must not be given together with ignoreStale", "rows", i, "countedAt")
		case row.ChangeFromQuantity == nil && !row.IgnoreStale && row.CountedAt == nil:
			c.add("must be given, or countedAt, or ignoreStale be true", "rows", i, "changeFromQuantity")
		case row.ChangeFromQuantity != nil && row.IgnoreStale:
			c.add("must not be given together with ignoreStale", "rows", i, "changeFromQuantity")
		}
		at := target{row.ProductID, row.LocationID, row.State}
		if earlier, again := seen[at]; again {
			c.errs = append(c.errs, Invalid(InputPath("rows", i), "row %d sets the same quantity already", earlier))
			return
		}
		seen[at] = i
	})
}

// CheckRows implements Bulk.
func (w MoveStock) CheckRows() RowErrors {
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		c.productID(row.ProductID, "rows", i, "productId")
		c.between(row.Quantity, 1, QuantityMax, "rows", i, "quantity")
		for _, side := range []struct {
			name string
			StockPlace
		}{{"from", row.From}, {"to", row.To}} {
			c.id(side.LocationID, "rows", i, side.name, "locationId")
			c.state(side.State, "rows", i, side.name, "state")
		}
		if row.From == row.To {
			c.errs = append(c.errs, Invalid(InputPath("rows", i, "to"), "to must differ from from"))
		}
	})
}
