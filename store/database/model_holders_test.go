package database_test

import (
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
)

// modelLimits are limits that a few holders reach.
func modelLimits() holderlimits.Limits {
	limits := few()
	limits.Units, limits.AddressUnits, limits.Extensions, limits.KeepMax = 8, 9, 1000, 1000*reservationTTL
	return limits
}

// boughtMax is the limit of the first product for each owner.
const boughtMax = 7

// holder draws whose a reservation is: often nobody's.
func (m *model) holder(t *rapid.T) owner.Holder {
	return rapid.SampledFrom([]owner.Holder{"", "", m.subject(), owner.OfAddress(m.prefix + "192.0.2.7")}).Draw(t, "holder")
}

// subject is the one subject of the run.
func (m *model) subject() owner.Holder { return owner.OfSubject(m.prefix + "alice") }

// held is what the holdings of a holder are, without one reservation: those of active
// reservations, whose expiry may not have been noticed yet.
func (m *model) held(h owner.Holder, without *modelReservation) (reservations int, units map[string]int) {
	units = map[string]int{}
	for _, r := range m.reservations {
		if r.holder == h && r.state == models.ReservationActive && r != without {
			reservations++
			for _, l := range r.lines {
				units[l.ProductID] += l.Quantity
			}
		}
	}
	return reservations, units
}

// bought is how much of a product a holder has that counts against the limit for each
// owner.
func (m *model) bought(h owner.Holder, product string, without *modelReservation) (n int) {
	for _, r := range m.reservations {
		if r.holder != h || r == without {
			continue
		}
		switch r.now() {
		case models.ReservationActive, models.ReservationCommitted, models.ReservationFulfilled:
			for _, l := range r.lines {
				if l.ProductID == product {
					n += l.Quantity - l.Cancelled
				}
			}
		}
	}
	return n
}

// modelRefusal is what the limits say to a write. full is the holder whose overdue
// reservations are ended for it.
type modelRefusal struct {
	errs []models.UserError
	full owner.Holder
}

// modelWant is what a write would have for a holder.
type modelWant struct {
	holder owner.Holder
	asked  map[string]int
	order  []string
	path   func(product string) models.Failure
	of     *modelReservation // that changes; nil for another one
	// reservation is the path of the refusal of one more reservation; nil for no more.
	reservation []string
	ordersOnly  bool // the units are ordered, and not held
	claim       bool
}

// had is what the reservation that changes has of a product.
func (w *modelWant) had(product string) (n int) {
	if w.of != nil {
		for _, l := range w.of.lines {
			if l.ProductID == product {
				n += l.Quantity
			}
		}
	}
	return n
}

// limits returns what the limits say now.
func (m *model) limits(w modelWant) (refusal modelRefusal) {
	if w.holder == "" {
		return refusal
	}
	limits := modelLimits()
	reservations, units := m.held(w.holder, w.of)
	var held, purchases []models.UserError
	if most := limits.ReservationsOf(w.holder); w.reservation != nil && reservations >= most {
		held = append(held, holderlimits.LimitError{Failure: models.Failure{Path: w.reservation}, Cause: holderlimits.TooManyReservations, Limit: most})
	}
	most, _ := limits.UnitsOf(w.holder, -1)
	for _, product := range w.order {
		n := w.asked[product]
		if n <= w.had(product) {
			continue
		}
		if !w.ordersOnly && units[product]+n > most {
			held = append(held, holderlimits.LimitError{Failure: w.path(product), Cause: holderlimits.TooManyUnits, Limit: most, ProductID: product})
		}
		if product == m.products()[0] && m.bought(w.holder, product, w.of)+n > boughtMax {
			purchases = append(purchases, models.QuantityLimitExceededError{Failure: w.path(product), ProductID: product, Requested: n, Limit: boughtMax, PeriodSeconds: new(models.OwnerPeriodDefault)})
		}
	}
	if held != nil {
		refusal.full = w.holder
	}
	if refusal.errs = append(held, purchases...); w.claim {
		refusal.errs = append(purchases, held...)
	}
	return refusal
}

// linePath is the path of a product's first line.
func linePath(lines []models.RequestedLine) func(string) models.Failure {
	return func(product string) models.Failure {
		for i, l := range lines {
			if l.ProductID == product {
				return path("lines", i, "quantity")
			}
		}
		return path("lines")
	}
}

// claim makes a reservation without an owner the subject's.
func (m *model) claim(t *rapid.T) {
	h := m.pick(t)
	do := func() models.WriteResult {
		return m.do(models.ClaimReservation{ID: h.id, Access: owner.Access{Subject: m.subject().Subject()}})
	}
	if now := h.now(); now != models.ReservationActive && now != models.ReservationCommitted {
		want := notActive(now)
		m.fails(do(), want)
		m.expireIfOverdue(h)
		return
	}
	if h.holder == m.subject() {
		require.True(t, do().Replayed)
		return
	}
	want := modelWant{holder: m.subject(), asked: map[string]int{}, path: func(string) models.Failure { return path("id") }, claim: true, ordersOnly: h.state == models.ReservationCommitted}
	for _, l := range h.lines {
		want.asked[l.ProductID], want.order = l.Quantity-l.Cancelled, append(want.order, l.ProductID)
	}
	if !want.ordersOnly {
		want.reservation = models.InputPath("id")
	}
	refusal := m.limits(want)
	for m.expireFor(nil, refusal.full) {
		refusal = m.limits(want)
	}
	r := do()
	m.fails(r, refusal.errs...)
	if refusal.errs == nil {
		h.holder, h.version = m.subject(), h.next(h.state)
	}
}
