package models

import (
	"time"

	"onhand/models/channel"
	"onhand/models/ids"
)

// InventoryPolicy is what happens when a product runs out.
type InventoryPolicy string

// The inventory policies.
const (
	// Deny refuses to sell below zero.
	Deny InventoryPolicy = "DENY"
	// Continue sells on backorder, down to the product's backorder limit.
	Continue InventoryPolicy = "CONTINUE"
)

// Product is the sellable unit with its stock settings. The catalogue keeps the
// rest (price, pictures, texts). The title is kept for people.
type Product struct {
	ProductID string `gorm:"primaryKey"`
	Title     *string
	// Tracked is false for products that never run out (gift cards, services).
	Tracked         bool
	InventoryPolicy InventoryPolicy
	// BackorderLimit is how far below zero available may go under Continue, in
	// units over all locations; nil means QuantityMax.
	BackorderLimit *int
	// LowStockThreshold is the quantity at and below which status is LOW_STOCK.
	LowStockThreshold int
	// MaxPerReservation bounds the quantity of one reservation; nil means no bound.
	MaxPerReservation *int
	// MaxPerOwner bounds the units that one holder has, in active reservations and in
	// orders of the last OwnerPeriod seconds; nil means no bound, and a day.
	MaxPerOwner   *int
	OwnerPeriod   *int
	NextRestockAt *time.Time
	// Buffers are the product's own buffers, by channel; nil for none.
	Buffers channel.Buffers `gorm:"-"`
	// Version grows by at least one with every change of the product's stock or
	// settings.
	Version int64
}

// TableName names the table for gorm.
func (Product) TableName() string { return "products" }

// Floor is the lowest total that available may reach, in units: zero, or minus the
// backorder limit where the policy is Continue.
func (p Product) Floor() int {
	if p.InventoryPolicy != Continue {
		return 0
	}
	if p.BackorderLimit == nil {
		return -QuantityMax
	}
	return -*p.BackorderLimit
}

// OwnerPeriodSeconds is the period of MaxPerOwner.
func (p Product) OwnerPeriodSeconds() int {
	if p.OwnerPeriod == nil {
		return OwnerPeriodDefault
	}
	return *p.OwnerPeriod
}

// ChannelBuffers are the product's own buffers, by channel id.
func (p Product) ChannelBuffers() []channel.Buffer { return p.Buffers.List() }

// UpsertProducts creates products, and changes the settings of products that
// exist. A field that a row leaves out keeps its value. A new product gets the
// defaults.
type UpsertProducts struct {
	IdempotencyKey string       `json:"idempotencyKey"`
	Rows           []ProductRow `json:"rows"`
	ErrorPolicy    ErrorPolicy  `json:"errorPolicy"`
	KeyTerms
}

// ProductRow is the new settings of one product.
type ProductRow struct {
	ProductID         string           `json:"productId"`
	Title             Patch[string]    `json:"title,omitzero"`
	Tracked           *bool            `json:"tracked,omitempty"`
	InventoryPolicy   *InventoryPolicy `json:"inventoryPolicy,omitempty"`
	BackorderLimit    Patch[int]       `json:"backorderLimit,omitzero"`
	LowStockThreshold *int             `json:"lowStockThreshold,omitempty"`
	MaxPerReservation Patch[int]       `json:"maxPerReservation,omitzero"`
	MaxPerOwner       Patch[int]       `json:"maxPerOwner,omitzero"`
	OwnerPeriod       Patch[int]       `json:"ownerPeriodSeconds,omitzero"`
	NextRestockAt     Patch[time.Time] `json:"nextRestockAt,omitzero"`
}

// The default of a new product is that of the column too. Periods are in seconds.
const (
	lowStockThresholdDefault                           = 5
	OwnerPeriodDefault, OwnerPeriodMin, OwnerPeriodMax = 24 * 60 * 60, 60, 366 * 24 * 60 * 60
)

// ApplyTo returns the product after the row; p is nil for a new one.
func (r ProductRow) ApplyTo(p *Product) Product {
	next := Product{ProductID: r.ProductID, Tracked: true, InventoryPolicy: Deny, LowStockThreshold: lowStockThresholdDefault}
	if p != nil {
		next = *p
	}
	next.Title = r.Title.ApplyTo(next.Title)
	next.BackorderLimit = r.BackorderLimit.ApplyTo(next.BackorderLimit)
	next.MaxPerReservation = r.MaxPerReservation.ApplyTo(next.MaxPerReservation)
	next.MaxPerOwner = r.MaxPerOwner.ApplyTo(next.MaxPerOwner)
	next.OwnerPeriod = r.OwnerPeriod.ApplyTo(next.OwnerPeriod)
	next.NextRestockAt = r.NextRestockAt.ApplyTo(next.NextRestockAt)
	replace(&next.Tracked, r.Tracked)
	replace(&next.InventoryPolicy, r.InventoryPolicy)
	replace(&next.LowStockThreshold, r.LowStockThreshold)
	return next
}

// Key implements Write.
func (w UpsertProducts) Key() string { return w.IdempotencyKey }

// Kind implements Write.
func (w UpsertProducts) Kind() string { return "products" }

// Size implements Bulk.
func (w UpsertProducts) Size() int { return len(w.Rows) }

// Policy implements Bulk.
func (w UpsertProducts) Policy() ErrorPolicy { return w.ErrorPolicy }

// Check implements Write.
func (w UpsertProducts) Check(time.Duration) []UserError { return checkUpsert(w, ProductRowsMax) }

// CheckRows implements Bulk.
func (w UpsertProducts) CheckRows() RowErrors {
	seen := rowsByID{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.ProductID, "productId", i)
		if ids.IsReservation(row.ProductID) {
			c.productID(row.ProductID, "rows", i, "productId")
		}
		c.optionalText(row.Title.Value, "rows", i, "title")
		if p := row.InventoryPolicy; p != nil && *p != Deny && *p != Continue {
			c.add("must be DENY or CONTINUE", "rows", i, "inventoryPolicy")
		}
		c.optionalBetween(row.BackorderLimit.Value, 0, QuantityMax, "rows", i, "backorderLimit")
		c.optionalBetween(row.LowStockThreshold, 0, QuantityMax, "rows", i, "lowStockThreshold")
		c.optionalBetween(row.MaxPerReservation.Value, 1, QuantityMax, "rows", i, "maxPerReservation")
		c.optionalBetween(row.MaxPerOwner.Value, 1, QuantityMax, "rows", i, "maxPerOwner")
		c.optionalBetween(row.OwnerPeriod.Value, OwnerPeriodMin, OwnerPeriodMax, "rows", i, "ownerPeriodSeconds")
		if at := row.NextRestockAt.Value; at != nil && (at.Before(timeMin) || !at.Before(timeMax)) {
			c.add("must be in the years 1 to 9999", "rows", i, "nextRestockAt")
		}
	})
}
