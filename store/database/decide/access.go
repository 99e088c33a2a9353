package decide

import (
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
		holder := holderlimits.LimitedHolder(mine, w.Access)
		if refusals := d.refuseClaim(holder, s); refusals != nil {
			at := s.At(d.Now)
			return models.WriteResult{Reservation: &at, Errors: refusals}
		}
		next.Holder, next.Counted, next.InPurchases = mine, d.Holdings.Counts(holder), d.inPurchases(holder, s.Lines)
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
		parts[i] = d.purchased(&StoredReservation{Reservation: s.Reservation, OrderedAt: s.OrderedAt, InPurchases: true}, &s.Lines[i])
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
