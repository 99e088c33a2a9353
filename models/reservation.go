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
	// Requested is what was asked for; Quantity, what is held, and once it is an
	// order, what was ordered. They differ where a partial hold was allowed, or
	// an order took less than was held.
	Requested int `json:"requested"`
	Quantity  int `json:"quantity"`
	// Fulfilled and Cancelled are units of Quantity that an order is done with.
	Fulfilled int `json:"fulfilled,omitempty"`
	Cancelled int `json:"cancelled,omitempty"`
	// Allocations spread Quantity over locations; empty for untracked products.
	Allocations []Allocation `json:"allocations,omitempty"`
}

// Left is how many units of the line are still held or on order.
func (l ReservationLine) Left() int { return l.Quantity - l.Fulfilled - l.Cancelled }

// Allocation is the part of a line that one location supplies.
type Allocation struct {
	LocationID string `json:"locationId"`
	Quantity   int    `json:"quantity"`
	// Done is how many of them were fulfilled or cancelled.
	Done int `json:"done,omitempty"`
}

// Left is how many of its units the level still counts as reserved or committed.
func (a Allocation) Left() int { return a.Quantity - a.Done }

// Split parts what is left of a line, location by location in their order: the
// first n units, and the rest.
func (l ReservationLine) Split(n int) (first, rest []Allocation) {
	for _, a := range l.Allocations {
		take := min(n, a.Left())
		n -= take
		if take > 0 {
			first = append(first, Allocation{LocationID: a.LocationID, Quantity: take})
		}
		if more := a.Left() - take; more > 0 {
			rest = append(rest, Allocation{LocationID: a.LocationID, Quantity: more})
		}
	}
	return first, rest
}

// Finish notes that the first n units of what is left are done with.
func (l ReservationLine) WithDone(n int) ReservationLine {
	l.Allocations = slices.Clone(l.Allocations)
	for i, a := range l.Allocations {
		take := min(n, a.Left())
		l.Allocations[i].Done += take
		n -= take
	}
	return l
}

// Left is how many units of all lines are still held or on order.
func (r Reservation) Left() (n int) {
	for _, l := range r.Lines {
		n += l.Left()
	}
	return n
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

// Transition says what a reservation's change of state moves, and why.
type Transition struct {
	From   ReservationState
	Take   State
	Give   State // empty: out of the house
	Reason Reason
}

var transitions = map[ReservationState]Transition{
	ReservationCommitted: {ReservationActive, Reserved, Committed, ReasonCommitted},
	ReservationReleased:  {ReservationActive, Reserved, Available, ReasonReleased},
	ReservationExpired:   {ReservationActive, Reserved, Available, ReasonExpired},
	ReservationFulfilled: {ReservationCommitted, Committed, "", ReasonFulfilled},
	ReservationCancelled: {ReservationCommitted, Committed, Available, ReasonCancelled},
}

// TransitionTo is the one way into a state; ok is false for a state that
// nothing becomes.
func TransitionTo(s ReservationState) (t Transition, ok bool) {
	t, ok = transitions[s]
	return t, ok
}

// MayBecome tells whether the state may change to next.
func (s ReservationState) MayBecome(next ReservationState) bool {
	t, ok := transitions[next]
	return ok && t.From == s
}
