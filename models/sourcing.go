package models

import (
	"cmp"
	"slices"
)

// SourcingOrder is the rule by which a channel's reservations choose locations.
type SourcingOrder string

// The sourcing orders.
const (
	// ByPriority takes from locations by priority, then id.
	ByPriority SourcingOrder = "PRIORITY"
	// FewestLocations takes from as few locations as it can, for few parcels.
	FewestLocations SourcingOrder = "FEWEST_LOCATIONS"
)

// Sourcing is the part of a product's stock that a reservation may take from: the
// active levels of a channel's locations.
type Sourcing struct {
	// Levels in sourcing order: by location priority, then id.
	Levels []Level
	// Floor is the lowest total that these levels may reach together, in units.
	// Backorders at other levels use up the product's backorder limit.
	Floor int
	// Buffer is how many units of their total the channel keeps back. Backorders begin
	// there: they end Buffer units above Floor.
	Buffer int
}

// SourcingOf narrows a product's levels to the active ones at the locations of
// members (nil: at all locations). Where that leaves none out, it returns the given
// levels, not a copy.
func SourcingOf(p Product, levels []Level, members map[string]bool) Sourcing {
	s := Sourcing{Levels: levels, Floor: p.Floor()}
	if slices.ContainsFunc(levels, func(l Level) bool { return excluded(&l, members) }) {
		s.Levels = nil
		for _, l := range levels {
			if excluded(&l, members) {
				s.Floor -= min(0, l.Available)
			} else {
				s.Levels = append(s.Levels, l)
			}
		}
	}
	s.Floor = min(0, s.Floor)
	return s
}

// Preorder reports whether a product is sold before it has a level at the locations of
// members (nil: at any location): on backorder, from their first active location. The
// reservation then makes the level.
func Preorder(p Product, levels []Level, members map[string]bool) bool {
	return p.Tracked && p.Floor() < 0 && !slices.ContainsFunc(levels, func(l Level) bool { return members == nil || members[l.LocationID] })
}

// Fewest sorts the levels so that want units come from few locations. Levels with
// all the units come first, among them those at locations that the cart uses
// already. The rest follows by quantity. The sort is stable.
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

// Sellable is how many units one reservation could get now. Without a level it is
// zero, whatever the backorder limit.
func (s Sourcing) Sellable() int { return s.offer().sellable() }

func (s Sourcing) offer() offer { return offer{len(s.Levels), s.Quantity(), s.Floor, s.Buffer} }

// offer is what the levels of a Sourcing sum up to.
type offer struct{ levels, quantity, floor, buffer int }

// offerOf is SourcingOf for sums. It copies no levels.
func offerOf(p *Product, levels []Level, members map[string]bool) offer {
	o := offer{floor: p.Floor()}
	for i := range levels {
		if l := &levels[i]; excluded(l, members) {
			o.floor -= min(0, l.Available)
		} else {
			o.levels, o.quantity = o.levels+1, o.quantity+l.Available
		}
	}
	o.floor = min(0, o.floor)
	return o
}

// excluded reports whether a level is not at an active location of members (nil: at any).
func excluded(l *Level, members map[string]bool) bool {
	return !l.Active || members != nil && !members[l.LocationID]
}

// offered is the available total that a channel shows: without the buffer. It is negative
// on backorder, which begins at the buffer.
func (o offer) offered() int {
	switch {
	case o.levels == 0 || o.buffer == 0:
		return o.quantity
	case o.floor < 0:
		return o.quantity - o.buffer
	}
	return min(o.quantity, max(0, o.quantity-o.buffer))
}

func (o offer) sellable() int {
	if o.levels == 0 {
		return 0
	}
	return max(0, o.quantity-o.buffer-o.floor)
}

// Spread allocates want units to the levels in their order, none below zero. Where
// that is not enough and the floor allows a backorder, the first level goes below
// zero for the rest. It returns the allocations and their sum, and leaves the
// levels as they are.
func (s Sourcing) Spread(want int) (allocations []Allocation, got int) {
	got = min(want, s.Sellable())
	if got <= 0 {
		return nil, 0
	}
	available := 0
	for i := range s.Levels {
		available += max(0, s.Levels[i].Available)
	}
	backordered := max(0, got-available)
	rest := got - backordered
	for i := range s.Levels {
		n := max(0, min(rest, s.Levels[i].Available))
		rest -= n
		if i == 0 {
			n += backordered
		}
		if n > 0 {
			allocations = append(allocations, Allocation{LocationID: s.Levels[i].LocationID, Quantity: n})
		}
	}
	return allocations, got
}
