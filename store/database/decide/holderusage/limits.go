package holderusage

import (
	"time"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
)

// Taken is what a write wants of one product.
type Taken struct {
	Product *models.Product
	// Stock is the stock that a share is of; negative for a product that never runs out.
	Stock int
	// Units are those that the reservation has afterwards, and Had those that it has before.
	Units, Had int
	// Counted: the holding includes Had.
	Counted bool
	Path    []string
}

// StockOf is the stock of a product that a share is of: what can be sold, is reserved or
// ordered, at all locations. It is negative for a product that never runs out.
func StockOf(p *models.Product, levels []*models.Level) int {
	if !p.Tracked || p.Floor() <= -models.QuantityMax {
		return -1
	}
	stock := -p.Floor()
	for _, l := range levels {
		stock += l.Available + l.Reserved + l.Committed
	}
	return max(stock, 0)
}

// RefuseReservation refuses one more reservation of a holder.
func (b *Holdings) RefuseReservation(h owner.Holder, path []string) []models.UserError {
	if !b.Counts(h) {
		return nil
	}
	limit := b.Limits.ReservationsOf(h)
	if b.Units(ID{Holder: h}) < holderlimits.CountedReservations(limit) {
		return nil
	}
	b.full.add(h)
	return []models.UserError{holderlimits.Refusal(holderlimits.TooManyReservations, limit, path,
		"at most %d reservations may be active at once; release one, or wait until one expires", limit)}
}

// RefuseUnits refuses more units of a product than a holder may have. Units that its
// reservation has already are never refused.
func (b *Holdings) RefuseUnits(h owner.Holder, t Taken) []models.UserError {
	if !b.Counts(h) || !t.Product.Tracked || t.Units <= t.Had {
		return nil
	}
	limit, isShare := b.Limits.UnitsOf(h, t.Stock)
	others := b.Units(ID{h, t.Product.ProductID})
	if t.Counted {
		others -= t.Had
	}
	if others+t.Units <= holderlimits.CountedUnits(limit) {
		return nil
	}
	b.full.add(h)
	refusal := holderlimits.Refusal(holderlimits.TooManyUnits, limit, t.Path,
		"active reservations may have at most %d of %q together", limit, t.Product.ProductID)
	if isShare {
		refusal = holderlimits.Refusal(holderlimits.ShareTooLarge, b.Limits.SharePercent, t.Path,
			"active reservations may have at most %d percent of the stock of %q together", b.Limits.SharePercent, t.Product.ProductID)
	}
	refusal.ProductID = t.Product.ProductID
	return []models.UserError{refusal}
}

// Renewal is a restart of the time to live of a reservation.
type Renewal struct {
	Holder             owner.Holder
	Extensions         int // so far
	CreatedAt          time.Time
	ExpiresAt, Expires time.Time // before and after
	Path               []string
}

// RefuseTime refuses more time than a reservation may have. A restart that adds no time is
// never refused.
func (b *Holdings) RefuseTime(r Renewal) (errs []models.UserError) {
	if !b.Counts(r.Holder) || !r.Expires.After(r.ExpiresAt) {
		return nil
	}
	if limit := b.Limits.Extensions; r.Extensions >= limit {
		errs = append(errs, holderlimits.Refusal(holderlimits.TooManyExtensions, limit, r.Path, "a reservation may be extended %d times", limit))
	}
	if limit := b.Limits.KeepMax; r.Expires.Sub(r.CreatedAt) > limit {
		errs = append(errs, holderlimits.Refusal(holderlimits.ReservedTooLong, int(limit/time.Second), r.Path,
			"a reservation may keep its stock for %d seconds from its creation on", int(limit/time.Second)))
	}
	return errs
}
