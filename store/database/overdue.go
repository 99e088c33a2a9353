package database

import "slices"

// among tells whether the hold holds one of the products.
func (h overdueHold) among(products map[string]bool) bool {
	return slices.ContainsFunc(h.products, func(id string) bool { return products[id] })
}
