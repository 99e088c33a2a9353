package models

import (
	"slices"
	"time"
)

// ReservationState is where a reservation is in its life.
type ReservationState string

// The states: ACTIVE → COMMITTED → FULFILLED, ACTIVE → RELEASED | EXPIRED,
// COMMITTED → CANCELLED.
const (
	ReservationActive    ReservationState = "ACTIVE"
	ReservationCommitted ReservationState = "COMMITTED"
	ReservationFulfilled ReservationState = "FULFILLED"
	ReservationReleased  ReservationState = "RELEASED"
	ReservationExpired   ReservationState = "EXPIRED"
	ReservationCancelled ReservationState = "CANCELLED"
)

// Reservation is an all-or-nothing hold on several lines with a time to live.
type Reservation struct {
	// ID is "res_" and 32 hex digits: 128 bits nobody can guess. Knowing it is
	// the permission to extend or release the hold.
	ID        string
	State     ReservationState
	Lines     []ReservationLine // in the order asked, one per product
	Channel   string            // empty: all locations
	Owner     string            // the caller's own reference; may be empty
	Order     string            // the order it became; may be empty
	CreatedAt time.Time
	ExpiresAt time.Time
	// Version grows by one with every change of the reservation.
	Version int64
	// ServerTime is the database's clock when this was read.
	ServerTime time.Time
}

// ReservationLine is the hold on one product.
type ReservationLine struct {
	ProductID string `json:"productId"`
	// Requested is what was asked for; Quantity, what is held. They differ
	// only where a partial hold was allowed.
	Requested int `json:"requested"`
	Quantity  int `json:"quantity"`
	// Allocations spread Quantity over locations; empty for untracked products.
	Allocations []Allocation `json:"allocations,omitempty"`
}

// Allocation is the part of a line that one location supplies.
type Allocation struct {
	LocationID string `json:"locationId"`
	Quantity   int    `json:"quantity"`
}

// OwnerRef is the caller's own reference, nil where there is none.
func (r Reservation) OwnerRef() *string { return present(r.Owner) }

// OrderRef is the order it became, nil where there is none.
func (r Reservation) OrderRef() *string { return present(r.Order) }

func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// At returns the reservation as of a moment on the database's clock: expiry is
// a predicate, so a hold past its time counts as expired whether or not
// anybody has swept it yet.
func (r Reservation) At(now time.Time) Reservation {
	r.ServerTime = now
	if r.State == ReservationActive && !r.ExpiresAt.After(now) {
		r.State = ReservationExpired
	}
	return r
}

// transitions lists what each state may become.
var transitions = map[ReservationState][]ReservationState{
	ReservationActive:    {ReservationCommitted, ReservationReleased, ReservationExpired},
	ReservationCommitted: {ReservationFulfilled, ReservationCancelled},
}

// MayBecome tells whether the state may change to next.
func (s ReservationState) MayBecome(next ReservationState) bool {
	return slices.Contains(transitions[s], next)
}

// Spread takes want units from levels in their order, never below zero at one
// level. Where that is not enough and the floor allows a backorder, the first
// active level goes below zero for the rest, as long as the total stays at or
// above floor. It returns what it could take; levels are not changed.
//
// Shapes: levels in sourcing order, only those that may be used; floor in
// units over exactly these levels.
func Spread(levels []Level, want, floor int) (taken []Allocation, got int) {
	total, first := 0, -1
	for i, l := range levels {
		if !l.Active {
			continue
		}
		if first < 0 {
			first = i
		}
		total += l.Available
	}
	if first < 0 {
		return nil, 0
	}
	got = max(0, min(want, total-floor))
	rest := got
	byLevel := make([]int, len(levels))
	for i, l := range levels {
		if l.Active && l.Available > 0 && rest > 0 {
			byLevel[i] = min(rest, l.Available)
			rest -= byLevel[i]
		}
	}
	byLevel[first] += rest
	for i, n := range byLevel {
		if n > 0 {
			taken = append(taken, Allocation{LocationID: levels[i].LocationID, Quantity: n})
		}
	}
	return taken, got
}
