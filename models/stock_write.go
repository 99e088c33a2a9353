package models

import (
	"strconv"
	"time"
)

// Adjust changes levels by deltas. Rows of the same level add up, in order.
type Adjust struct {
	IdempotencyKey string      `json:"idempotencyKey"`
	Rows           []AdjustRow `json:"rows"`
	Reason         Reason      `json:"reason"`
	Note           string      `json:"note,omitempty"`
	Reference      string      `json:"reference,omitempty"`
	ErrorPolicy    ErrorPolicy `json:"errorPolicy"`
	Actor          string      `json:"-"`
}

// AdjustRow is one delta to one state of one level.
type AdjustRow struct {
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	State      State  `json:"state"`
	Delta      int    `json:"delta"`
}

// SetStock sets levels to counted quantities, each level and state once.
type SetStock struct {
	IdempotencyKey string   `json:"idempotencyKey"`
	Rows           []SetRow `json:"rows"`
	// OnlyNew refuses rows whose level is there already and holds anything but
	// the row's quantity: what was sold or held since would come back as stock.
	OnlyNew     bool        `json:"onlyNew,omitempty"`
	Reason      Reason      `json:"reason"`
	Note        string      `json:"note,omitempty"`
	Reference   string      `json:"reference,omitempty"`
	ErrorPolicy ErrorPolicy `json:"errorPolicy"`
	Actor       string      `json:"-"`
}

// SetRow is the counted quantity of one state of one level.
type SetRow struct {
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	State      State  `json:"state"`
	Quantity   int    `json:"quantity"`
	// ChangeFromQuantity is what the caller believes to be there: with any other
	// quantity the row is refused. Without it, IgnoreStale must be said.
	ChangeFromQuantity *int `json:"changeFromQuantity,omitempty"`
	IgnoreStale        bool `json:"ignoreStale,omitempty"`
}

// MoveStock moves units between states, locations, or both at once. Rows are
// moved in order, each seeing the ones before it.
type MoveStock struct {
	IdempotencyKey string      `json:"idempotencyKey"`
	Rows           []MoveRow   `json:"rows"`
	Reason         Reason      `json:"reason"`
	Note           string      `json:"note,omitempty"`
	Reference      string      `json:"reference,omitempty"`
	ErrorPolicy    ErrorPolicy `json:"errorPolicy"`
	Actor          string      `json:"-"`
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
	return checkEntry(w, w.Reason, w.Note, w.Reference)
}

// Check implements Write.
func (w SetStock) Check(time.Duration) []UserError {
	return checkEntry(w, w.Reason, w.Note, w.Reference)
}

// Check implements Write.
func (w MoveStock) Check(time.Duration) []UserError {
	return checkEntry(w, w.Reason, w.Note, w.Reference)
}

// checkEntry checks what all stock writes have in common.
func checkEntry(w Bulk, reason Reason, note, reference string) []UserError {
	var c checker
	c.key(w.Key())
	if !reason.given() {
		c.add("must be one that a caller can give", "reason")
	}
	c.text(note, TextLengthMax, "note")
	c.text(reference, TextLengthMax, "referenceDocumentUri")
	c.rows(w, StockRowsMax)
	return c.errs
}

// state refuses what is no state, and the states that follow from reservations:
// they always equal what active holds and open orders add up to.
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
		c.add(CheckID(row.ProductID), "rows", i, "productId")
		c.add(CheckID(row.LocationID), "rows", i, "locationId")
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
	first := make(map[target]int, len(w.Rows))
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		c.add(CheckID(row.ProductID), "rows", i, "productId")
		c.add(CheckID(row.LocationID), "rows", i, "locationId")
		c.state(row.State, "rows", i, "state")
		if row.Quantity > QuantityMax || row.Quantity < -QuantityMax {
			c.add("must be at most "+strconv.Itoa(QuantityMax), "rows", i, "quantity")
		}
		switch {
		case row.ChangeFromQuantity == nil && !row.IgnoreStale:
			c.add("must be given, or ignoreStale be true", "rows", i, "changeFromQuantity")
		case row.ChangeFromQuantity != nil && row.IgnoreStale:
			c.add("must not be given together with ignoreStale", "rows", i, "changeFromQuantity")
		}
		at := target{row.ProductID, row.LocationID, row.State}
		if earlier, again := first[at]; again {
			c.errs = append(c.errs, Invalid(InputPath("rows", i), "row %d sets the same quantity already", earlier))
			return
		}
		first[at] = i
	})
}

// CheckRows implements Bulk.
func (w MoveStock) CheckRows() RowErrors {
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		c.add(CheckID(row.ProductID), "rows", i, "productId")
		if row.Quantity < 1 || row.Quantity > QuantityMax {
			c.add("must be between 1 and "+strconv.Itoa(QuantityMax), "rows", i, "quantity")
		}
		for _, side := range []struct {
			name string
			StockPlace
		}{{"from", row.From}, {"to", row.To}} {
			c.add(CheckID(side.LocationID), "rows", i, side.name, "locationId")
			c.state(side.State, "rows", i, side.name, "state")
		}
		if row.From == row.To {
			c.errs = append(c.errs, Invalid(InputPath("rows", i, "to"), "to must differ from from"))
		}
	})
}
