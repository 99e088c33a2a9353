package dialect

import "slices"

// RowRef names what a transaction can lock: a product with its levels, or a
// reservation. Exactly one field is set.
type RowRef struct{ Product, Reservation string }

// Locks are rows that other transactions have locked, each with the ids of those
// transactions.
type Locks map[RowRef][]string

// HeldSince returns the locks of l that the same transaction already had in
// earlier. A row that passes from one transaction to the next is only in demand:
// a writer that waits for it gets its turn.
func (l Locks) HeldSince(earlier Locks) Locks {
	held := Locks{}
	for row, holders := range l {
		for _, holder := range holders {
			if slices.Contains(earlier[row], holder) {
				held[row] = append(held[row], holder)
			}
		}
	}
	return held
}

// Add records that the transaction holder has locked row.
func (l Locks) Add(row RowRef, holder string) { l[row] = append(l[row], holder) }

// Products returns the set of locked products.
func (l Locks) Products() map[string]bool {
	products := make(map[string]bool, len(l))
	for row := range l {
		if row.Product != "" {
			products[row.Product] = true
		}
	}
	return products
}
