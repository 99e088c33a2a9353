package paging

import (
	"time"

	"onhand/models"
)

// ReservationQuery narrows a list of reservations. A zero field does not filter.
type ReservationQuery struct {
	// State is the state as of the database's clock: a reservation past its expiry is
	// EXPIRED.
	State models.ReservationState
	// ProductID keeps reservations with a line of this product.
	ProductID          string
	OwnerRef, OrderRef string
	// Since and Until bound when the reservation was created, both inclusive.
	Since, Until *time.Time
}

// ReservationPosition is a place in the list of reservations, which is ordered by time
// and then by id, newest first. Without an id it is the place before all that were
// created at that time.
type ReservationPosition struct {
	CreatedAt time.Time
	ID        string
}

// ReservationRequest asks for a page of reservations: the First ones after a
// position, or the Last ones before one.
type ReservationRequest struct {
	First, Last   int
	After, Before ReservationPosition
}

// ReservationPage is the answer to a ReservationRequest.
//
// The work for one page is bounded. Where few reservations match the filter, a page can
// have fewer than asked for, or none, and a next page all the same.
type ReservationPage struct {
	Reservations     []*models.Reservation
	HasNext, HasPrev bool
	// Start and End are the positions to continue from.
	Start, End ReservationPosition
}
