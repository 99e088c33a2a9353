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

// StockMovement is one row of the append-only ledger: what one operation did
// to one level.
type StockMovement struct {
	MovementID    int64
	ProductID     string
	LocationID    string
	Delta         Quantities // change per state, in units
	After         Quantities // the level afterwards
	Reason        Reason
	Reference     string // document or order this belongs to; may be empty
	Actor         string // who did it; empty for an anonymous shopper
	ReservationID string // empty where no reservation was involved
	Version       int64  // the product's version once this was committed
	CreatedAt     time.Time
}
