package optimistic

import (
	"onhand/models"
	"onhand/models/owner"
	"onhand/store/database/decide/holderusage"
)

// withinPurchases decides on the limits for each owner (maxPerOwner): whether some product has
// one, and whether the batch alone stays within them. The database adds what the holder has.
func (b *ReservationBatch) withinPurchases(h owner.Holder, lines []models.ReservationLine) (inPurchases, within bool) {
	for i := range lines {
		p := b.Unit.Products[lines[i].ProductID]
		if p.MaxPerOwner == nil {
			continue
		}
		units := lines[i].Quantity
		if at, known := b.purchases[holderusage.ID{Holder: h, Product: p.ProductID}]; known {
			units += b.Purchases[at].Units
		}
		if units > *p.MaxPerOwner {
			return true, false
		}
		inPurchases = true
	}
	return inPurchases, true
}

// purchase adds a reservation to the purchases of its holder.
func (b *ReservationBatch) purchase(h owner.Holder, lines []models.ReservationLine) {
	if b.purchases == nil {
		b.purchases = map[holderusage.ID]int{}
	}
	for i := range lines {
		p := b.Unit.Products[lines[i].ProductID]
		if p.MaxPerOwner == nil {
			continue
		}
		id := holderusage.ID{Holder: h, Product: p.ProductID}
		at, known := b.purchases[id]
		if !known {
			at = len(b.Purchases)
			b.purchases[id] = at
			b.Purchases = append(b.Purchases, holderusage.PurchaseWithin{Holding: holderusage.Holding{ID: id}, Limit: *p.MaxPerOwner, Seconds: p.OwnerPeriodSeconds()})
		}
		b.Purchases[at].Units += lines[i].Quantity
	}
}
