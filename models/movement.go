package models

import "time"

// Reason says why stock moved.
type Reason string

// The reasons. The first group is set by Onhand, the second by merchants.
const (
	ReasonReserved  Reason = "RESERVED"
	ReasonUpdated   Reason = "RESERVATION_UPDATED"
	ReasonReleased  Reason = "RELEASED"
	ReasonExpired   Reason = "EXPIRED"
	ReasonCommitted Reason = "COMMITTED"
	ReasonFulfilled Reason = "FULFILLED"
	ReasonCancelled Reason = "CANCELLED"
	ReasonImport    Reason = "IMPORT"
	// ReasonExternal is written by the database's trigger when somebody else
	// changed a level.
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

// given tells whether a caller may give this reason: the others say what Onhand
// itself did. Imports are writes like a merchant's.
func (r Reason) given() bool {
	switch r {
	case ReasonReceived, ReasonReturned, ReasonCorrection, ReasonCycleCount, ReasonDamaged, ReasonShrinkage,
		ReasonPromotion, ReasonOther, ReasonImport:
		return true
	}
	return false
}

// StockMovement is one row of the append-only ledger: what one operation did
// to one level.
type StockMovement struct {
	MovementID    int64
	ProductID     string
	LocationID    string
	Delta         Quantities // change per state, in units
	After         Quantities // the level afterwards
	Reason        Reason
	Note          string // why, in the writer's own words; may be empty
	Reference     string // document or order this belongs to; may be empty
	Actor         string // who did it; empty for an anonymous shopper
	ReservationID string // empty where no reservation was involved
	Version       int64  // the product's version once this was committed
	CreatedAt     time.Time
	// Cursor is where a subscription that saw this movement goes on; made by
	// the database when it reads.
	Cursor string
}
