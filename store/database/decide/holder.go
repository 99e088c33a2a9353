package decide

import (
	"slices"
	"time"

	"onhand/models"
	"onhand/models/owner"
	"onhand/store/database/decide/holderusage"
)

// The limits of holders: on what their active reservations have (holdings), and on what they
// got of a product within its period (purchases).

// refuseUnits refuses units of products that a holder may not have. counted: its holdings
// include those that the reservation has already.
func (d *Decider) refuseUnits(h owner.Holder, wanted []demand, counted bool) (errs []models.UserError) {
	if !d.Holdings.Counts(h) {
		return nil
	}
	for i := range wanted {
		want := &wanted[i]
		product := d.Products[want.product]
		if product == nil {
			continue
		}
		taken := holderusage.Taken{
			Product: product, Stock: holderusage.StockOf(product, d.Levels[want.product]), Units: want.total, Counted: counted,
			Path: models.InputPath("lines", want.index, "quantity"),
		}
		if want.held != nil {
			taken.Had = holderusage.UnitsOf(want.held)
		}
		errs = append(errs, d.Holdings.RefuseUnits(h, taken)...)
	}
	return errs
}

// renew restarts the time to live of a reservation, unless a limit refuses it.
func (d *Decider) renew(s *StoredReservation, h owner.Holder, ttl time.Duration, field string) []models.UserError {
	errs := d.Holdings.RefuseTime(holderusage.Renewal{
		Holder: h, Extensions: s.Extensions, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, Expires: d.Now.Add(ttl), Path: models.InputPath(field),
	})
	if errs == nil {
		s.renew(d.Now, ttl)
	}
	return errs
}

// CountPurchases counts reservations that the batch may change.
func (u *UnitOfWork) CountPurchases(reservations [][16]byte) {
	for _, key := range reservations {
		if s := u.Reservations[key]; s != nil {
			u.purchase(s, 1)
		}
	}
}

// purchase adds the units of a reservation to the purchases of its holder, or takes them.
func (u *UnitOfWork) purchase(s *StoredReservation, sign int) {
	if !s.InPurchases {
		return
	}
	for i := range s.Lines {
		if n := u.purchased(s, &s.Lines[i]); n > 0 {
			u.Purchases.Add(holderusage.Holding{ID: holderusage.ID{Holder: s.Holder, Product: s.Lines[i].ProductID}, Units: sign * n})
		}
	}
}

// purchased is how many units of a line count against the limit of its product now: those
// of an active reservation, and those of an order of the product's period that were not
// cancelled.
func (u *UnitOfWork) purchased(s *StoredReservation, l *models.ReservationLine) int {
	p := u.Products[l.ProductID]
	if !s.InPurchases || p == nil || p.MaxPerOwner == nil {
		return 0
	}
	switch s.At(u.Now).State {
	case models.ReservationActive:
	case models.ReservationCommitted, models.ReservationFulfilled:
		if !s.OrderedAt.After(u.Now.Add(-time.Duration(p.OwnerPeriodSeconds()) * time.Second)) {
			return 0
		}
	default:
		return 0
	}
	return l.Quantity - l.Cancelled
}

// inPurchases reports whether purchases include a reservation with these lines: some product
// has a limit for each owner. The empty holder has no limits.
func (u *UnitOfWork) inPurchases(h owner.Holder, lines []models.ReservationLine) bool {
	return h != "" && slices.ContainsFunc(lines, func(l models.ReservationLine) bool {
		p := u.Products[l.ProductID]
		return p != nil && p.MaxPerOwner != nil
	})
}

// refusePurchases refuses units of products that an owner may not have in their period. s
// is the reservation that is updated; nil for a new one.
func (d *Decider) refusePurchases(h owner.Holder, wanted []demand, s *StoredReservation) (errs []models.UserError) {
	for i := range wanted {
		want := &wanted[i]
		product := d.Products[want.product]
		if product == nil {
			continue
		}
		w := holderusage.Wanted{Product: product, Units: want.total, Path: models.InputPath("lines", want.index, "quantity")}
		if want.held != nil {
			w.Had, w.Purchased = want.held.Quantity, d.purchased(s, want.held)
		}
		errs = append(errs, d.Purchases.Refuse(h, w)...)
	}
	return errs
}

// refuseLines refuses the lines of a reservation that becomes a holder's, or takes its
// units again. parts are the units of each line.
func (d *Decider) refuseLines(h owner.Holder, s *StoredReservation, parts []int, path func(product string) []string) (errs []models.UserError) {
	for i := range s.Lines {
		if product := d.Products[s.Lines[i].ProductID]; product != nil {
			errs = append(errs, d.Purchases.Refuse(h, holderusage.Wanted{Product: product, Units: parts[i], Path: path(product.ProductID)})...)
		}
	}
	return errs
}
