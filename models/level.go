package models

import "fmt"

// State is one of the quantity states of a stock level.
type State string

// The quantity states. On hand is the sum of all but Incoming.
const (
	Available      State = "AVAILABLE"
	Reserved       State = "RESERVED"
	Committed      State = "COMMITTED"
	Damaged        State = "DAMAGED"
	QualityControl State = "QUALITY_CONTROL"
	SafetyStock    State = "SAFETY_STOCK"
	Incoming       State = "INCOMING"
)

// States are all quantity states, in display order.
var States = []State{Available, Reserved, Committed, Damaged, QualityControl, SafetyStock, Incoming}

// Settable are the states that a file may set. The others follow from reservations
// and orders.
var Settable = []State{Available, Damaged, QualityControl, SafetyStock, Incoming}

// Quantities are the units in each state.
type Quantities struct {
	Available      int
	Reserved       int
	Committed      int
	Damaged        int
	QualityControl int
	SafetyStock    int
	Incoming       int
}

// OnHand is everything physically there: all states but incoming.
func (q Quantities) OnHand() int {
	return q.Available + q.Reserved + q.Committed + q.Damaged + q.QualityControl + q.SafetyStock
}

// Of returns a pointer to the units of one state; nil for an unknown state.
func (q *Quantities) Of(s State) *int {
	switch s {
	case Available:
		return &q.Available
	case Reserved:
		return &q.Reserved
	case Committed:
		return &q.Committed
	case Damaged:
		return &q.Damaged
	case QualityControl:
		return &q.QualityControl
	case SafetyStock:
		return &q.SafetyStock
	case Incoming:
		return &q.Incoming
	}
	return nil
}

// Plus adds two sets of quantities state by state.
func (q Quantities) Plus(d Quantities) Quantities {
	return Quantities{
		Available:      q.Available + d.Available,
		Reserved:       q.Reserved + d.Reserved,
		Committed:      q.Committed + d.Committed,
		Damaged:        q.Damaged + d.Damaged,
		QualityControl: q.QualityControl + d.QualityControl,
		SafetyStock:    q.SafetyStock + d.SafetyStock,
		Incoming:       q.Incoming + d.Incoming,
	}
}

// Minus subtracts d state by state.
func (q Quantities) Minus(d Quantities) Quantities {
	for _, s := range States {
		*q.Of(s) -= *d.Of(s)
	}
	return q
}

// Check reports the first state that is out of bounds: below zero (available:
// below floor) or above QuantityMax.
func (q Quantities) Check(floor int) error {
	for _, s := range States {
		low := 0
		if s == Available {
			low = floor
		}
		if n := *q.Of(s); n < low || n > QuantityMax {
			return fmt.Errorf("%s would be %d, outside %d to %d", s, n, low, QuantityMax)
		}
	}
	return nil
}

// Level is the stock of one product at one location.
type Level struct {
	ProductID  string
	LocationID string
	Quantities
	// Active and Priority are the location's, read together with the level.
	Active   bool
	Priority int
}
