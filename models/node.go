package models

import (
	"time"

	"onhand/models/ids"
)

// ID is the global id. It names what the stock shows: the product, the channel and the moment. The id of a live stock
// has neither version nor time, so that a client's cache merges every newer one into it.
func (s *Stock) ID() string {
	return ids.Object{Kind: ids.Stock, ProductID: s.ProductID, ChannelID: s.Channel, Moment: s.Moment}.String()
}

// ID is the global id.
func (l LevelView) ID() string {
	return ids.Object{Kind: ids.Level, ProductID: l.ProductID, LocationID: l.LocationID, Moment: l.Moment}.String()
}

// ID is the global id.
func (l Location) ID() string {
	return ids.Object{Kind: ids.Location, LocationID: l.LocationID}.String()
}

// ID is the global id.
func (c Channel) ID() string { return ids.Object{Kind: ids.Channel, ChannelID: c.ChannelID}.String() }

// ID is the global id. It has the product id too, because the ledger is stored by product.
func (m *StockMovement) ID() string {
	return ids.Object{Kind: ids.Movement, MovementID: m.MovementID, ProductID: m.ProductID}.String()
}

// ID is the global id. Like the reservation's own id it is a permission.
func (l LineView) ID() string {
	return ids.Object{Kind: ids.Line, ReservationID: l.ReservationID, ProductID: l.ProductID}.String()
}

// ID is the global id. Like the reservation's own id it is a permission.
func (a AllocationView) ID() string {
	return ids.Object{Kind: ids.Allocation, ReservationID: a.ReservationID, ProductID: a.ProductID, LocationID: a.LocationID}.String()
}

// ID is the shop's own product id, so that other graphs can join on it.
func (p Product) ID() string { return p.ProductID }

// IsNode implements the schema's interface Node, and IsEntity its union _Entity.
func (s *Stock) IsNode()         {}
func (l LevelView) IsNode()      {}
func (l Location) IsNode()       {}
func (c Channel) IsNode()        {}
func (p Product) IsNode()        {}
func (r Reservation) IsNode()    {}
func (l LineView) IsNode()       {}
func (a AllocationView) IsNode() {}
func (m *StockMovement) IsNode() {}
func (s *Stock) IsEntity()       {}
func (l Location) IsEntity()     {}
func (p Product) IsEntity()      {}
func (r Reservation) IsEntity()  {}

// The parts of a stock and of a reservation are stored without what their global ids and versions need. A view is a part
// with that. Views are made when a client asks for them.

// LevelView is a level of a stock.
type LevelView struct {
	Level
	// Version is the product's.
	Version int64
	// Moment is that of the stock.
	Moment *time.Time
}

// LineView is a line of a reservation.
type LineView struct {
	ReservationLine
	ReservationID string
	// Version is the reservation's.
	Version int64
}

// AllocationView is an allocation of a line.
type AllocationView struct {
	Allocation
	ReservationID, ProductID string
	// Version is the reservation's.
	Version int64
}

// LevelViews are the levels, in their order.
func (s *Stock) LevelViews() []LevelView {
	views := make([]LevelView, len(s.Levels))
	for i, l := range s.Levels {
		views[i] = LevelView{Level: l, Version: s.Product.Version, Moment: s.Moment}
	}
	return views
}

// LineViews are the lines, in their order.
func (r Reservation) LineViews() []LineView {
	views := make([]LineView, len(r.Lines))
	for i, l := range r.Lines {
		views[i] = LineView{ReservationLine: l, ReservationID: r.ID, Version: r.Version}
	}
	return views
}

// AllocationViews are the allocations, in their order.
func (l LineView) AllocationViews() []AllocationView {
	views := make([]AllocationView, len(l.Allocations))
	for i, a := range l.Allocations {
		views[i] = AllocationView{Allocation: a, ReservationID: l.ReservationID, ProductID: l.ProductID, Version: l.Version}
	}
	return views
}
