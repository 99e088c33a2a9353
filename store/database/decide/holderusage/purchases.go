package holderusage

import (
	"fmt"
	"slices"
	"time"

	"onhand/models"
	"onhand/models/owner"
)

// Purchases has the units that holders have of products with a limit for each owner
// (maxPerOwner): in active reservations, and in orders of the product's period. Nothing of
// it is stored: the database adds up reservations, once the rows of their products are
// locked. The zero value is empty.
type Purchases struct {
	units map[ID]int
	full  fullHolders
}

// Add adds units of a holding, or takes them where they are negative.
func (p *Purchases) Add(h Holding) {
	if p.units == nil {
		p.units = map[ID]int{}
	}
	p.units[h.ID] += h.Units
}

// Full lists the holders that a write was refused for, in order.
func (p *Purchases) Full() []string { return p.full.list() }

// Wanted is what a reservation wants of a product that has a limit for each owner.
type Wanted struct {
	Product *models.Product
	// Units are those that the reservation has afterwards, Had those that it has before, and
	// Purchased those of them that the purchases include.
	Units, Had, Purchased int
	Path                  []string
}

// Refuse refuses more units than a holder may have in the product's period. Units that its
// reservation has already are never refused.
func (p *Purchases) Refuse(h owner.Holder, w Wanted) []models.UserError {
	limit := w.Product.MaxPerOwner
	if h == "" || limit == nil || w.Units <= w.Had {
		return nil
	}
	if p.units[ID{h, w.Product.ProductID}]-w.Purchased+w.Units <= *limit {
		return nil
	}
	p.full.add(h)
	period := time.Duration(w.Product.OwnerPeriodSeconds()) * time.Second
	return []models.UserError{models.QuantityLimitExceededError{
		Failure: models.Failure{
			Message: fmt.Sprintf("one owner may have %d of %q within %s, orders and other reservations included", *limit, w.Product.ProductID, period),
			Path:    w.Path,
		},
		ProductID: w.Product.ProductID, Requested: models.Units(w.Units), Limit: *limit, PeriodSeconds: new(w.Product.OwnerPeriodSeconds()),
	}}
}

// PurchaseWithin is what a batch adds to the purchases of a holder, with the limit of the
// product and its period.
type PurchaseWithin struct {
	Holding
	Limit, Seconds int
}

// NeededPurchases names the purchases that a batch of writes needs. Products without a
// limit are among them: only the database knows which those are.
type NeededPurchases struct {
	IDs        []ID // of new reservations
	Products   []ReservedProduct
	Claims     []ClaimedReservation
	Reacquired [][16]byte // reservations that take their lines again
	// Own are the reservations that the batch may change. The unit of work counts them.
	Own [][16]byte
}

// None reports whether nothing is needed.
func (n *NeededPurchases) None() bool {
	return len(n.IDs)+len(n.Products)+len(n.Claims)+len(n.Reacquired) == 0
}

// fullHolders are holders that a write was refused for.
type fullHolders map[owner.Holder]bool

func (f *fullHolders) add(h owner.Holder) {
	if *f == nil {
		*f = fullHolders{}
	}
	(*f)[h] = true
}

func (f fullHolders) list() []string {
	list := make([]string, 0, len(f))
	for h := range f {
		list = append(list, string(h))
	}
	slices.Sort(list)
	return list
}
