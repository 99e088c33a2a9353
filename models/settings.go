package models

import (
	"encoding/json"
	"strconv"
	"time"
)

// UpsertProducts makes products, and changes the settings of those that are
// there. What a row leaves out stays as it is; a new product gets the defaults.
type UpsertProducts struct {
	IdempotencyKey string       `json:"idempotencyKey"`
	Rows           []ProductRow `json:"rows"`
	ErrorPolicy    ErrorPolicy  `json:"errorPolicy"`
}

// ProductRow says what one product's settings shall be.
type ProductRow struct {
	ProductID         string           `json:"productId"`
	Title             Patch[string]    `json:"title,omitzero"`
	Tracked           *bool            `json:"tracked,omitempty"`
	InventoryPolicy   *InventoryPolicy `json:"inventoryPolicy,omitempty"`
	BackorderLimit    Patch[int]       `json:"backorderLimit,omitzero"`
	LowStockThreshold *int             `json:"lowStockThreshold,omitempty"`
	MaxPerReservation Patch[int]       `json:"maxPerReservation,omitzero"`
	NextRestockAt     Patch[time.Time] `json:"nextRestockAt,omitzero"`
}

// UpsertLocations makes locations, and changes those that are there.
type UpsertLocations struct {
	IdempotencyKey string        `json:"idempotencyKey"`
	Rows           []LocationRow `json:"rows"`
	ErrorPolicy    ErrorPolicy   `json:"errorPolicy"`
}

// LocationRow says what one location shall be; nil fields stay as they are.
type LocationRow struct {
	LocationID string  `json:"locationId"`
	Name       *string `json:"name,omitempty"` // of a new one: its id, unless given
	Priority   *int    `json:"priority,omitempty"`
	Active     *bool   `json:"active,omitempty"`
	Pickup     *bool   `json:"pickup,omitempty"`
}

// UpsertChannels makes channels, and changes those that are there.
type UpsertChannels struct {
	IdempotencyKey string       `json:"idempotencyKey"`
	Rows           []ChannelRow `json:"rows"`
	ErrorPolicy    ErrorPolicy  `json:"errorPolicy"`
}

// ChannelRow says what one channel shall be; nil fields stay as they are.
type ChannelRow struct {
	ChannelID string         `json:"channelId"`
	Name      *string        `json:"name,omitempty"` // of a new one: its id, unless given
	Sourcing  *SourcingOrder `json:"sourcing,omitempty"`
	// LocationIDs are all its locations from now on; an empty list is none.
	LocationIDs []string `json:"locationIds,omitzero"`
}

// Patch is a new value for a setting that may be none: nothing unless Given,
// and then nil clears it.
type Patch[T any] struct {
	Given bool
	Value *T
}

// MarshalJSON gives the value, for fingerprints: a moment is the same in every
// zone, and also one in a year that is no time in JSON.
func (p Patch[T]) MarshalJSON() ([]byte, error) {
	if at, ok := any(p.Value).(*time.Time); ok && at != nil {
		return json.Marshal(at.UTC().Format(time.RFC3339Nano))
	}
	return json.Marshal(p.Value)
}

// Over is the setting after the patch.
func (p Patch[T]) ApplyTo(old *T) *T {
	if p.Given {
		return p.Value
	}
	return old
}

// The defaults of what is new, those of the tables.
const (
	lowStockThresholdDefault = 5
	priorityDefault          = 100
)

// Over is the product after the row; p is nil for a new one.
func (r ProductRow) ApplyTo(p *Product) Product {
	next := Product{ProductID: r.ProductID, Tracked: true, InventoryPolicy: Deny, LowStockThreshold: lowStockThresholdDefault}
	if p != nil {
		next = *p
	}
	next.Title = r.Title.ApplyTo(next.Title)
	next.BackorderLimit = r.BackorderLimit.ApplyTo(next.BackorderLimit)
	next.MaxPerReservation = r.MaxPerReservation.ApplyTo(next.MaxPerReservation)
	next.NextRestockAt = r.NextRestockAt.ApplyTo(next.NextRestockAt)
	replace(&next.Tracked, r.Tracked)
	replace(&next.InventoryPolicy, r.InventoryPolicy)
	replace(&next.LowStockThreshold, r.LowStockThreshold)
	return next
}

// Over is the location after the row; l is nil for a new one.
func (r LocationRow) ApplyTo(l *Location) Location {
	next := Location{LocationID: r.LocationID, Name: r.LocationID, Priority: priorityDefault, Active: true}
	if l != nil {
		next = *l
	}
	replace(&next.Name, r.Name)
	replace(&next.Priority, r.Priority)
	replace(&next.Active, r.Active)
	replace(&next.Pickup, r.Pickup)
	return next
}

// Over is the channel after the row; c is nil for a new one.
func (r ChannelRow) ApplyTo(c *Channel) Channel {
	next := Channel{ChannelID: r.ChannelID, Name: r.ChannelID, Sourcing: ByPriority}
	if c != nil {
		next = *c
	}
	replace(&next.Name, r.Name)
	replace(&next.Sourcing, r.Sourcing)
	if r.LocationIDs != nil {
		next.LocationIDs = r.LocationIDs
	}
	return next
}

func replace[T any](old *T, given *T) {
	if given != nil {
		*old = *given
	}
}

// Key implements Write.
func (w UpsertProducts) Key() string  { return w.IdempotencyKey }
func (w UpsertLocations) Key() string { return w.IdempotencyKey }
func (w UpsertChannels) Key() string  { return w.IdempotencyKey }

// Kind implements Write.
func (w UpsertProducts) Kind() string  { return "products" }
func (w UpsertLocations) Kind() string { return "locations" }
func (w UpsertChannels) Kind() string  { return "channels" }

// Size implements Bulk.
func (w UpsertProducts) Size() int  { return len(w.Rows) }
func (w UpsertLocations) Size() int { return len(w.Rows) }
func (w UpsertChannels) Size() int  { return len(w.Rows) }

// Policy implements Bulk.
func (w UpsertProducts) Policy() ErrorPolicy  { return w.ErrorPolicy }
func (w UpsertLocations) Policy() ErrorPolicy { return w.ErrorPolicy }
func (w UpsertChannels) Policy() ErrorPolicy  { return w.ErrorPolicy }

// Check implements Write.
func (w UpsertProducts) Check(time.Duration) []UserError { return checkSettings(w, ProductRowsMax) }

// Check implements Write.
func (w UpsertLocations) Check(time.Duration) []UserError { return checkSettings(w, PlaceRowsMax) }

// Check implements Write.
func (w UpsertChannels) Check(time.Duration) []UserError { return checkSettings(w, PlaceRowsMax) }

func checkSettings(w Bulk, limit int) []UserError {
	var c checker
	c.key(w.Key())
	c.rows(w, limit)
	return c.errs
}

// once refuses an id that an earlier row has.
type once map[string]int

func (o once) check(c *checker, id, field string, i int) {
	c.add(CheckID(id), "rows", i, field)
	if earlier, again := o[id]; again {
		c.errs = append(c.errs, Invalid(InputPath("rows", i), "row %d has the same %s", earlier, field))
		return
	}
	o[id] = i
}

// bounded checks a number that may be left out.
func (c *checker) bounded(n *int, low, high int, path ...any) {
	if n != nil && (*n < low || *n > high) {
		c.add("must be between "+strconv.Itoa(low)+" and "+strconv.Itoa(high), path...)
	}
}

func (c *checker) optionalText(s *string, path ...any) {
	if s != nil {
		c.text(*s, TextLengthMax, path...)
	}
}

// The years that RFC 3339 can write.
var (
	timeMin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	timeMax = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CheckRows implements Bulk.
func (w UpsertProducts) CheckRows() RowErrors {
	seen := once{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.ProductID, "productId", i)
		c.optionalText(row.Title.Value, "rows", i, "title")
		if p := row.InventoryPolicy; p != nil && *p != Deny && *p != Continue {
			c.add("must be DENY or CONTINUE", "rows", i, "inventoryPolicy")
		}
		c.bounded(row.BackorderLimit.Value, 0, QuantityMax, "rows", i, "backorderLimit")
		c.bounded(row.LowStockThreshold, 0, QuantityMax, "rows", i, "lowStockThreshold")
		c.bounded(row.MaxPerReservation.Value, 1, QuantityMax, "rows", i, "maxPerReservation")
		if at := row.NextRestockAt.Value; at != nil && (at.Before(timeMin) || !at.Before(timeMax)) {
			c.add("must be in the years 1 to 9999", "rows", i, "nextRestockAt")
		}
	})
}

// CheckRows implements Bulk.
func (w UpsertLocations) CheckRows() RowErrors {
	seen := once{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.LocationID, "locationId", i)
		c.optionalText(row.Name, "rows", i, "name")
		c.bounded(row.Priority, -QuantityMax, QuantityMax, "rows", i, "priority")
	})
}

// CheckRows implements Bulk.
func (w UpsertChannels) CheckRows() RowErrors {
	seen := once{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.ChannelID, "channelId", i)
		c.optionalText(row.Name, "rows", i, "name")
		if s := row.Sourcing; s != nil && *s != ByPriority && *s != FewestLocations {
			c.add("must be PRIORITY or FEWEST_LOCATIONS", "rows", i, "sourcing")
		}
		if len(row.LocationIDs) > ChannelLocationsMax {
			c.add("must have at most "+strconv.Itoa(ChannelLocationsMax)+" entries", "rows", i, "locationIds")
			return
		}
		for j, id := range row.LocationIDs {
			c.add(CheckID(id), "rows", i, "locationIds", j)
		}
	})
}
