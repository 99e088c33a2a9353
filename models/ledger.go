package models

import "time"

// StateChange is what one movement did to one quantity state.
type StateChange struct {
	State State
	Delta int // units
	After int // units left in that state of that level
}

// Changes lists the states that a movement changed; none where somebody made
// an empty level by hand.
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

// MovementFilter narrows the ledger: every given field must match.
type MovementFilter struct {
	ProductID  string
	LocationID string
	// State keeps movements that changed this state.
	State         State
	Reason        Reason
	Reference     string
	ReservationID string
	// Since and Until bound CreatedAt, both inclusive.
	Since, Until *time.Time
}

// MovementsPage asks for a page of the ledger, newest first: First movements
// older than After, or the Last ones that are newer than Before. After and
// Before are movement ids, 0 for none.
type MovementsPage struct {
	First, Last   int
	After, Before int64
}

// MovementPage is one page of the ledger, newest first.
//
// The work for one page is bounded, so that where few movements match the
// filter it may hold fewer than were asked for, or none, and still have a next
// one: End is where to go on, and Start, where to go back.
type MovementPage struct {
	Movements        []*StockMovement
	HasNext, HasPrev bool
	Start, End       int64 // movement ids; 0 where there is nothing to go on from
}
