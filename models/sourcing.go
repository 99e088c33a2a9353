package models

import (
	"cmp"
	"slices"
)

// SourcingOrder is the rule by which a channel's holds choose locations.
type SourcingOrder string

// The sourcing orders.
const (
	// ByPriority asks locations by their priority, then id.
	ByPriority SourcingOrder = "PRIORITY"
	// FewestLocations keeps the number of parcels small.
	FewestLocations SourcingOrder = "FEWEST_LOCATIONS"
)

// Sourcing is the part of a product's stock that a buyer may draw on: the
// active levels of a channel's locations.
type Sourcing struct {
	// Levels in sourcing order: by location priority, then id.
	Levels []Level
	// Floor is the lowest total these levels may reach together, in units. What
	// is owed at other levels uses up the product's backorder limit.
	Floor int
}

// SourcingOf narrows a product's levels to those that sell: active ones, of
// members only (nil: of all locations). Where all of them sell, its levels are
// those it was given, not a copy.
func SourcingOf(p Product, levels []Level, members map[string]bool) Sourcing {
	s := Sourcing{Levels: levels, Floor: p.Floor()}
	stays := func(l Level) bool { return !l.Active || members != nil && !members[l.LocationID] }
	if slices.ContainsFunc(levels, stays) {
		s.Levels = nil
		for _, l := range levels {
			if stays(l) {
				s.Floor -= min(0, l.Available)
			} else {
				s.Levels = append(s.Levels, l)
			}
		}
	}
	s.Floor = min(0, s.Floor)
	return s
}

// Fewest puts the levels into the order that asks few locations for want units:
// those that have them all first, those already used by the cart before others,
// then the fullest. What is equal stays in its order.
func (s Sourcing) Fewest(want int, used map[string]bool) Sourcing {
	s.Levels = slices.Clone(s.Levels)
	rank := func(l Level) int {
		switch {
		case l.Available >= want && used[l.LocationID]:
			return 0
		case l.Available >= want:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(s.Levels, func(a, b Level) int {
		if byRank := cmp.Compare(rank(a), rank(b)); byRank != 0 || rank(a) < 2 {
			return byRank
		}
		return cmp.Compare(b.Available, a.Available)
	})
	return s
}

// Quantity is the available total, in units.
func (s Sourcing) Quantity() int {
	total := 0
	for _, l := range s.Levels {
		total += l.Available
	}
	return total
}

// Sellable is how many units one buyer could get now: nothing where no level
// could owe or give them.
func (s Sourcing) Sellable() int {
	if len(s.Levels) == 0 {
		return 0
	}
	return max(0, s.Quantity()-s.Floor)
}

// Spread takes want units from the levels in their order, never below zero at
// one level. Where that is not enough and the floor allows a backorder, the
// first level goes below zero for the rest. It returns what it could take;
// levels are not changed.
func (s Sourcing) Spread(want int) (taken []Allocation, got int) {
	got = min(want, s.Sellable())
	if got <= 0 {
		return nil, 0
	}
	there := 0
	for i := range s.Levels {
		there += max(0, s.Levels[i].Available)
	}
	owed := max(0, got-there)
	rest := got - owed
	for i := range s.Levels {
		n := max(0, min(rest, s.Levels[i].Available))
		rest -= n
		if i == 0 {
			n += owed
		}
		if n > 0 {
			taken = append(taken, Allocation{LocationID: s.Levels[i].LocationID, Quantity: n})
		}
	}
	return taken, got
}
