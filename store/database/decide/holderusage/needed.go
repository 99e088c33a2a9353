package holderusage

import (
	"cmp"
	"slices"

	"onhand/models"
	"onhand/models/owner"
)

// NeededHoldings names what a batch of writes needs of holdings. The holders of reservations that
// it changes are not among them: only the database knows those.
type NeededHoldings struct {
	Holders []string // of new reservations
	IDs     []ID     // their holdings of products
	// Changed are reservations that may become counted.
	Changed [][16]byte
	// Products are products that a reservation may take more of.
	Products []ReservedProduct
	// Claims are reservations that get another holder.
	Claims []ClaimedReservation
}

// ClaimedReservation is a reservation, and the holder whose it becomes.
type ClaimedReservation struct {
	Reservation [16]byte
	Holder      string
}

// ReservedProduct is a product that a reservation may take more of.
type ReservedProduct struct {
	Reservation [16]byte
	Product     string
}

// Reserve adds a new reservation.
func (s *NeededHoldings) Reserve(h owner.Holder, lines []models.RequestedLine) {
	if h == "" {
		return
	}
	s.Holders = append(s.Holders, string(h))
	for i := range lines {
		s.IDs = append(s.IDs, ID{h, lines[i].ProductID})
	}
}

// Update adds a change of a reservation that may make it counted, with its new lines.
func (s *NeededHoldings) Update(reservation [16]byte, lines []models.RequestedLine) {
	s.Changed = append(s.Changed, reservation)
	for i := range lines {
		s.Products = append(s.Products, ReservedProduct{reservation, lines[i].ProductID})
	}
}

// Claim adds a change of a reservation's holder.
func (s *NeededHoldings) Claim(reservation [16]byte, h owner.Holder) {
	s.Changed = append(s.Changed, reservation)
	s.Holders = append(s.Holders, string(h))
	s.Claims = append(s.Claims, ClaimedReservation{reservation, string(h)})
}

// Sorted returns the set in order and without repeats.
func (s NeededHoldings) Sorted() NeededHoldings {
	slices.Sort(s.Holders)
	slices.SortFunc(s.IDs, ID.Compare)
	slices.SortFunc(s.Changed, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	slices.SortFunc(s.Products, func(a, b ReservedProduct) int {
		return cmp.Or(slices.Compare(a.Reservation[:], b.Reservation[:]), cmp.Compare(a.Product, b.Product))
	})
	return NeededHoldings{slices.Compact(s.Holders), slices.Compact(s.IDs), slices.Compact(s.Changed), slices.Compact(s.Products), s.Claims}
}
