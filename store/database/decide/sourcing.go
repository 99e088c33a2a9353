package decide

import (
	"fmt"

	"onhand/models"
)

// source says which locations a cart may take units from, and in which order.
type source struct {
	channel string          // empty for none
	gone    bool            // the channel was deleted after the reservation
	buffer  int             // units that the channel keeps back of each product
	members map[string]bool // nil for no channel: all locations
	fewest  bool
	used    map[string]bool // locations that the cart takes from already; only with fewest
}

func (d *Decider) source(channel string) source {
	from := source{channel: channel}
	if known := d.Channels[channel]; known != nil {
		from.members, from.fewest, from.buffer = known.Members, known.Sourcing == models.FewestLocations, known.Buffer
	} else if channel != "" {
		from.gone, from.members = true, map[string]bool{}
	}
	if from.fewest {
		from.used = map[string]bool{}
	}
	return from
}

// chooseOne looks for one location that has the whole cart, and puts it first: one
// that some lines name, else the first by priority.
func (d *Decider) chooseOne(changes *ChangeSet, wanted []demand, from *source) {
	if !from.fewest {
		return
	}
	var order []string
	lines, has := 0, map[string]int{} // how many lines each location has whole
	for _, want := range wanted {
		for _, pin := range want.pinned {
			from.used[pin.LocationID] = true
		}
		product := d.Products[want.product]
		if product == nil || !product.Tracked || want.free == 0 {
			continue
		}
		lines++
		for _, l := range models.SourcingOf(*product, changes.levels(want.product), from.members).Levels {
			if l.Available >= want.free {
				if has[l.LocationID] == 0 {
					order = append(order, l.LocationID)
				}
				has[l.LocationID]++
			}
		}
	}
	best := ""
	for _, id := range order {
		if has[id] == lines && (best == "" || from.used[id] && !from.used[best]) {
			best = id
		}
	}
	if best != "" {
		from.used = map[string]bool{best: true}
	}
}

// spread takes up to want units for a line from one location, or from all allowed
// locations where location is empty, and moves them in the change set. It returns why
// it got fewer; empty when it did not.
func (from *source) spread(changes *ChangeSet, line *models.ReservationLine, product models.Product, location string, want int) (why string) {
	if want == 0 {
		return ""
	}
	members := from.members
	if location != "" {
		if members != nil && !members[location] {
			return from.whyNotAt(changes, product, location, line.Quantity)
		}
		members = map[string]bool{location: true}
	}
	sourcing, first := from.place(changes, product, location, members)
	buffer, room := from.bufferOf(product), want
	if buffer > 0 && location != "" { // the buffer is of the channel's total, not of one location
		room = min(want, from.whole(changes, product, buffer).Sellable())
	} else {
		sourcing.Buffer = buffer
	}
	if from.fewest {
		sourcing = sourcing.Fewest(want, from.used)
	}
	taken, got := sourcing.Spread(room)
	sourcing.Buffer = 0
	kept := buffer > 0 && got < want && sourcing.Sellable() > got
	line.Quantity += got
	for _, a := range taken {
		id := LevelID{product.ProductID, a.LocationID}
		if first {
			changes.makeLevel(id)
		}
		changes.add(id, models.Quantities{Available: -a.Quantity, Reserved: a.Quantity})
		if from.fewest {
			from.used[a.LocationID] = true
		}
	}
	if line.Allocations == nil {
		line.Allocations = taken
	} else {
		for _, a := range taken {
			line.Allocations = mergeAllocation(line.Allocations, a)
		}
	}
	switch {
	case got == want:
		return ""
	case kept:
		return from.whyKept(product, line.Quantity)
	case location != "":
		return from.whyNotAt(changes, product, location, line.Quantity)
	}
	return from.whyNot(changes, product, line.Quantity)
}

// place returns the levels that a line may take from. A product that is sold on
// backorder and has no level there yet gets its first one: at the location that the line
// names, or at the first active one.
func (from *source) place(changes *ChangeSet, product models.Product, location string, members map[string]bool) (s models.Sourcing, first bool) {
	unit, levels := changes.unit, changes.levels(product.ProductID)
	s = models.SourcingOf(product, levels, members)
	if from.gone || unit.FixedLevels || !models.Preorder(product, levels, members) {
		return s, false
	}
	place := unit.Locations[location]
	if location == "" {
		place = unit.firstLocation(from.channel)
	}
	if !place.Active {
		return s, false
	}
	s.Levels = []models.Level{changes.level(LevelID{product.ProductID, place.LocationID})}
	return s, true
}

// bufferOf is how many units of a product the channel keeps back.
func (from *source) bufferOf(product models.Product) int {
	if from.channel == "" {
		return 0
	}
	return product.Buffers.Of(from.channel, from.buffer)
}

// whole is what the channel may take of a product over all its locations.
func (from *source) whole(changes *ChangeSet, product models.Product, buffer int) models.Sourcing {
	levels := changes.levels(product.ProductID)
	s := models.SourcingOf(product, levels, from.members)
	if models.Preorder(product, levels, from.members) {
		s.Levels = []models.Level{{ProductID: product.ProductID, Active: true}}
	}
	s.Buffer = buffer
	return s
}

// whyKept says that the channel's buffer is why a line got no more units than it did.
func (from *source) whyKept(product models.Product, got int) string {
	switch floor := product.Floor(); {
	case floor < 0:
		return fmt.Sprintf("its backorder limit of %d, which counts from the buffer of the channel %q, is reached", -floor, from.channel)
	case got > 0:
		return fmt.Sprintf("the channel %q keeps the rest back as its buffer", from.channel)
	}
	return fmt.Sprintf("the channel %q keeps what is left back as its buffer", from.channel)
}

// whyNotAt says why one location, which a line names, has no more units of a product
// than the line got.
func (from *source) whyNotAt(changes *ChangeSet, product models.Product, location string, got int) string {
	switch {
	case from.gone:
		return fmt.Sprintf("the channel %q does not exist any more", from.channel)
	case from.members != nil && !from.members[location]:
		return fmt.Sprintf("%q is outside the channel %q", location, from.channel)
	}
	for _, l := range changes.levels(product.ProductID) {
		switch {
		case l.LocationID != location:
		case !l.Active:
			return fmt.Sprintf("%q is closed", location)
		default:
			return soldOut(product, got) + fmt.Sprintf(" at %q", location)
		}
	}
	switch place, known := changes.unit.Locations[location]; {
	case product.Floor() == 0 || !known:
		return fmt.Sprintf("it has no stock level at %q", location)
	case !place.Active:
		return fmt.Sprintf("%q is closed", location)
	}
	return soldOut(product, got) + fmt.Sprintf(" at %q", location)
}

// whyNot says why the locations that a cart may take from have no more units of a
// product than the line got. It does not say how many units are elsewhere: a shopper may not see them.
func (from *source) whyNot(changes *ChangeSet, product models.Product, got int) string {
	var open, closed, outside int
	var closedUnits, outsideUnits bool
	for _, l := range changes.levels(product.ProductID) {
		switch {
		case from.members != nil && !from.members[l.LocationID]:
			outside++
			outsideUnits = outsideUnits || l.Active && l.Available > 0
		case !l.Active:
			closed++
			closedUnits = closedUnits || l.Available > 0
		default:
			open++
		}
	}
	where := ""
	if from.channel != "" {
		where = fmt.Sprintf(" of the channel %q", from.channel)
	}
	var why string
	first, loaded := changes.unit.First[from.channel]
	switch {
	case from.gone:
		return fmt.Sprintf("the channel %q does not exist any more", from.channel)
	case open+closed == 0 && product.Floor() < 0 && loaded && !first.Active:
		return "no location" + where + " is open"
	case open+closed == 0 && product.Floor() < 0:
		return soldOut(product, got)
	case open+closed+outside == 0:
		return "it has no stock level at any location"
	case open+closed == 0:
		why = "it has no stock level at any location" + where
	case open == 0:
		why = "every location" + where + " that stocks it is closed"
	default:
		why = soldOut(product, got)
		if from.channel != "" {
			why += fmt.Sprintf(" in the channel %q", from.channel)
		}
		if closedUnits {
			why += "; there are units at a closed location"
		}
	}
	if outsideUnits {
		why += "; there are units outside the channel"
	}
	return why
}

// soldOut says why open levels of a product have no more units than the line got.
func soldOut(product models.Product, got int) string {
	if floor := product.Floor(); floor < 0 {
		return fmt.Sprintf("its backorder limit of %d is reached", -floor)
	}
	if got > 0 {
		return "the rest is sold out"
	}
	return "it is sold out"
}

func mergeAllocation(allocations []models.Allocation, a models.Allocation) []models.Allocation {
	for i := range allocations {
		if allocations[i].LocationID == a.LocationID {
			allocations[i].Quantity += a.Quantity
			return allocations
		}
	}
	return append(allocations, a)
}
