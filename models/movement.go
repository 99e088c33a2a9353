package models

import "time"

// Reason is why stock moved.
type Reason string

// The reasons. Onhand itself gives the first group, callers the second.
const (
	ReasonReserved  Reason = "RESERVED"
	ReasonUpdated   Reason = "RESERVATION_UPDATED"
	ReasonReleased  Reason = "RELEASED"
	ReasonExpired   Reason = "EXPIRED"
	ReasonCommitted Reason = "COMMITTED"
	ReasonFulfilled Reason = "FULFILLED"
	ReasonCancelled Reason = "CANCELLED"
	ReasonImport    Reason = "IMPORT"
	// ReasonExternal comes from the database's trigger: another program changed a
	// level.
	ReasonExternal Reason = "EXTERNAL"

	ReasonReceived   Reason = "RECEIVED"
	ReasonReturned   Reason = "RETURNED"
	ReasonCorrection Reason = "CORRECTION"
	ReasonCycleCount Reason = "CYCLE_COUNT"
	ReasonDamaged    Reason = "DAMAGED"
	ReasonShrinkage  Reason = "SHRINKAGE"
	ReasonPromotion  Reason = "PROMOTION"
	ReasonOther      Reason = "OTHER"
)

// callerMayGive reports whether a stock write may have this reason. An import is a
// stock write too.
func (r Reason) callerMayGive() bool {
	switch r {
	case ReasonReceived, ReasonReturned, ReasonCorrection, ReasonCycleCount, ReasonDamaged, ReasonShrinkage,
		ReasonPromotion, ReasonOther, ReasonImport:
		return true
	}
	return false
}

// StockMovement is one row of the append-only ledger: what one operation did to one
// level.
type StockMovement struct {
	MovementID    int64
	ProductID     string
	LocationID    string
	Delta         Quantities // change per state, in units
	After         Quantities // the level afterwards
	Reason        Reason
	Note          string // why, in the writer's own words; may be empty
	Reference     string // document or order this belongs to; may be empty
	Actor         string // the caller's subject; empty for an anonymous shopper
	ReservationID string // empty where no reservation was involved
	Version       int64  // the product's version after the commit
	CreatedAt     time.Time
	// Cursor is where a subscription that saw this movement continues. The database
	// makes it when it reads.
	Cursor string
}

// StateChange is what one movement did to one quantity state.
type StateChange struct {
	State State
	Delta int // units
	After int // units left in that state of that level
}

// Changes lists the states that a movement changed. The list is empty where another
// program created or deleted an empty level.
func (m *StockMovement) Changes() []StateChange {
	list := make([]StateChange, 0, 2)
	for _, s := range States {
		if d := *m.Delta.Of(s); d != 0 {
			list = append(list, StateChange{State: s, Delta: d, After: *m.After.Of(s)})
		}
	}
	return list
}

// NoteText is the note; nil for none.
func (m *StockMovement) NoteText() *string { return present(m.Note) }

// ReferenceText is the reference; nil for none.
func (m *StockMovement) ReferenceText() *string { return present(m.Reference) }

// ActorName is the actor; nil for an anonymous shopper.
func (m *StockMovement) ActorName() *string { return present(m.Actor) }

// OfReservation is the reservation's id; nil where none was involved.
func (m *StockMovement) OfReservation() *string { return present(m.ReservationID) }

// MovementFilter narrows the ledger. Every given field must match.
type MovementFilter struct {
	ProductID  string
	LocationID string
	// State keeps movements that changed this state.
	State         State
	Reason        Reason
	Reference     string
	ReservationID string
	// HidesOrders leaves out the movements of reservations. It is for a filter with a Reference.
	HidesOrders bool
	// Since and Until bound CreatedAt, both inclusive.
	Since, Until *time.Time
}
