package models

import "time"

// InventoryPolicy says what happens when a product runs out.
type InventoryPolicy string

// The inventory policies.
const (
	// Deny refuses to sell below zero.
	Deny InventoryPolicy = "DENY"
	// Continue sells on backorder, down to the product's backorder limit.
	Continue InventoryPolicy = "CONTINUE"
)

// Product is the sellable unit with its stock settings. The catalogue's own
// facts (price, pictures, texts) live elsewhere; the title is kept for people.
type Product struct {
	ProductID string `gorm:"primaryKey"`
	Title     *string
	// Tracked is false for things that never run out (gift cards, services).
	Tracked         bool
	InventoryPolicy InventoryPolicy
	// BackorderLimit is how far below zero available may go under Continue,
	// in units over all locations; nil means QuantityMax.
	BackorderLimit *int
	// LowStockThreshold is the quantity at and below which status is LOW_STOCK.
	LowStockThreshold int
	// MaxPerReservation bounds one reservation's quantity; nil means no bound.
	MaxPerReservation *int
	NextRestockAt     *time.Time
	// Version grows by at least one with every change of the product's stock
	// or settings.
	Version int64
}

// TableName names the table for gorm.
func (Product) TableName() string { return "products" }

// Floor is the lowest total that available may reach, in units: zero, or
// minus the backorder limit where the policy is Continue.
func (p Product) Floor() int {
	if p.InventoryPolicy != Continue {
		return 0
	}
	if p.BackorderLimit == nil {
		return -QuantityMax
	}
	return -*p.BackorderLimit
}

// ProductFilter narrows a list of products. Zero fields do not filter.
type ProductFilter struct {
	// IDs keeps only these products, at most StocksMax of them.
	IDs []string
	// TitleContains keeps products whose title holds this text, whatever its case.
	TitleContains string
}

// Page asks for a window of a list ordered by id: forwards (First, After) or
// backwards (Last, Before), never both. Cursors are ids, not offsets.
type Page struct {
	First, Last   int
	After, Before string
}

// ProductPage is one window of products, in id order.
type ProductPage struct {
	Products         []Product
	HasNext, HasPrev bool
}
