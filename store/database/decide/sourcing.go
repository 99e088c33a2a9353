package decide

import "onhand/models"

// source says which locations a cart may take units from, and in which order.
type source struct {
	members map[string]bool // nil for no channel: all locations
	fewest  bool
	used    map[string]bool // locations that the cart takes from already; only with fewest
}

func (d *Decider) source(channel string) source {
	var from source
	if known := d.Channels[channel]; known != nil {
		from.members, from.fewest = known.Members, known.Sourcing == models.FewestLocations
	} else if channel != "" {
		from.members = map[string]bool{} // the channel was deleted after the reservation
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
// locations where location is empty, and moves them in the change set.
func (from *source) spread(changes *ChangeSet, line *models.ReservationLine, product models.Product, location string, want int) {
	members := from.members
	if location != "" {
		if members != nil && !members[location] {
			return
		}
		members = map[string]bool{location: true}
	}
	sourcing := models.SourcingOf(product, changes.levels(product.ProductID), members)
	if from.fewest {
		sourcing = sourcing.Fewest(want, from.used)
	}
	taken, got := sourcing.Spread(want)
	line.Quantity += got
	for _, a := range taken {
		changes.add(LevelID{product.ProductID, a.LocationID}, models.Quantities{Available: -a.Quantity, Reserved: a.Quantity})
		if from.fewest {
			from.used[a.LocationID] = true
		}
	}
	if line.Allocations == nil {
		line.Allocations = taken
		return
	}
	for _, a := range taken {
		line.Allocations = mergeAllocation(line.Allocations, a)
	}
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
