package models

// Count is a number of units that a file gives or leaves open.
type Count struct {
	Units int
	Given bool
}

// Counted is a count that is given.
func Counted(units int) Count { return Count{Units: units, Given: true} }

// Counts is what a file says of one level. Unavailable is damaged, quality
// control and safety stock together, for files that do not tell them apart.
type Counts struct {
	Available, Reserved, Committed, Damaged, QualityControl, SafetyStock, Incoming Count

	Unavailable, OnHand Count
}

// StockRow is one row of a stock file, understood: what its writer saw at one
// level, and what he wants there.
type StockRow struct {
	// Line is where the row begins; the first line is 1.
	Line int
	// ProductID is the product's id. In a shop's file it is the SKU, which may
	// be empty or stand for several variants; then Variant is the id.
	ProductID string
	// Variant is the id made from a shop's handle and options; empty in files
	// that name products by id.
	Variant string
	Title   string // for products that are new; may be empty
	// Location is a location's id or, in a shop's file, its name. Empty in a row
	// that only names a product.
	Location string
	// Now is what lay there when the file was made; New is what shall lie there,
	// and what is not given in it stays.
	Now, New Counts
	// Note tells the reader of the report what was understood but not taken over.
	Note string
	// Problem says why the row cannot be understood; the rest then means little.
	Problem string
}

// Settable are the states that a file may set; the others belong to holds and
// orders.
var Settable = []State{Available, Damaged, QualityControl, SafetyStock, Incoming}

// Of returns a pointer to the count of a state, or nil for what is no state.
func (c *Counts) Of(s State) *Count {
	switch s {
	case Available:
		return &c.Available
	case Reserved:
		return &c.Reserved
	case Committed:
		return &c.Committed
	case Damaged:
		return &c.Damaged
	case QualityControl:
		return &c.QualityControl
	case SafetyStock:
		return &c.SafetyStock
	case Incoming:
		return &c.Incoming
	}
	return nil
}

// Any tells whether something is given.
func (c Counts) Any() bool { return c != Counts{} }

// OpeningRow is the counted stock of one product at one location, with which a
// shop opens.
type OpeningRow struct {
	ProductID  string
	Title      string // may be empty
	LocationID string
	Available  int // units
}
