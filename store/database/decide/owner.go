package decide

import (
	"slices"
	"time"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database/decide/holderusage"
)

// unreachable returns the input field of a write that names a reservation which does not
// exist for its caller; empty where there is none. Nothing of such a reservation is
// returned, a replay included. The sweeper's expiry has no caller.
func (d *Decider) unreachable(w models.Write) (field string) {
	key, access, field := d.named(w)
	if s := d.Reservations[key]; s == nil || access.Reaches(s.Holder) {
		return ""
	}
	return field
}

// named returns the key of the reservation that a write names, the access of its caller,
// and the input field that names it.
func (d *Decider) named(w models.Write) (key [16]byte, access owner.Access, field string) {
	var id string
	switch w := w.(type) {
	case models.Reserve: // the one that its key made before, which a subject may have claimed
		return d.Hashes.Reservation, w.Access, "idempotencyKey"
	case models.UpdateReservation:
		id, access = w.ID, w.Access
	case models.ExtendReservation:
		id, access = w.ID, w.Access
	case models.ClaimReservation:
		id, access = w.ID, w.Access
	case models.Resolve:
		id, access = w.ID, w.Access
		access.Orders = access.Orders || w.To == models.ReservationExpired
	}
	key, _ = ReservationKey(id)
	return key, access, "id"
}

// unknownReservation answers for a reservation that does not exist, or not for its caller.
func unknownReservation(field string) models.WriteResult {
	message := "no reservation with this id"
	if field != "id" {
		message = "this key made a reservation before, which another caller has claimed"
	}
	return models.WriteResult{Errors: []models.UserError{models.NotFound(models.InputPath(field), "%s", message)}}
}

// claim makes a reservation without an owner the caller's. It must be open: an order may
// be claimed too. To claim one's own again is no error, because a claim has no key to
// repeat it with.
func (d *Decider) claim(w models.ClaimReservation) models.WriteResult {
	want := models.ReservationActive
	key, _ := ReservationKey(w.ID)
	if known := d.Reservations[key]; known != nil && known.State == models.ReservationCommitted {
		want = models.ReservationCommitted
	}
	s, result := d.inState(w.ID, want)
	if s == nil {
		return result
	}
	next, mine := *s, owner.OfSubject(w.Access.Subject)
	replayed := s.Holder == mine
	if !replayed {
		if !s.Holder.Capability() {
			at := s.At(d.Now)
			return models.WriteResult{Reservation: &at, Errors: []models.UserError{models.Invalid(models.InputPath("id"), "the reservation has an owner")}}
		}
		holder := holderlimits.Limited(mine, w.Access)
		if limited := d.refuseClaim(holder, s); limited != nil {
			at := s.At(d.Now)
			return models.WriteResult{Reservation: &at, Errors: limited}
		}
		next.Holder, next.Counted, next.Limited = mine, d.Holdings.Counts(holder), d.limits(holder, s.Lines)
		d.put(&next)
	}
	at := next.At(d.Now)
	return models.WriteResult{Reservation: &at, Replayed: replayed}
}

// refuseClaim refuses a reservation that would bring a holder above its limits. Otherwise a
// subject could claim without end what its address reserves. An order keeps nothing from
// others, but it counts against the limits of its products for each owner.
func (d *Decider) refuseClaim(h owner.Holder, s *StoredReservation) []models.UserError {
	path, parts := models.InputPath("id"), make([]int, len(s.Lines))
	for i := range s.Lines {
		parts[i] = d.purchased(&StoredReservation{Reservation: s.Reservation, OrderedAt: s.OrderedAt, Limited: true}, &s.Lines[i])
	}
	errs := d.refuseLines(h, s, parts, func(string) []string { return path })
	if s.State != models.ReservationActive || !d.Holdings.Counts(h) {
		return errs
	}
	errs = append(errs, d.Holdings.RefuseReservation(h, path)...)
	for i := range s.Lines {
		line := &s.Lines[i]
		if product := d.Products[line.ProductID]; product != nil {
			stock := holderusage.StockOf(product, d.Levels[line.ProductID])
			errs = append(errs, d.Holdings.RefuseUnits(h, holderusage.Taken{Product: product, Stock: stock, Units: holderusage.UnitsOf(line), Path: path})...)
		}
	}
	return errs
}

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
	if !s.Limited {
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
	if !s.Limited || p == nil || p.MaxPerOwner == nil {
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

// limits reports whether a reservation with these lines counts against a limit for each
// owner. The empty holder has no limits.
func (u *UnitOfWork) limits(h owner.Holder, lines []models.ReservationLine) bool {
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
			w.Had, w.Counted = want.held.Quantity, d.purchased(s, want.held)
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
