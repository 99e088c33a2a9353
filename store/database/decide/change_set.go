package decide

import (
	"slices"

	"onhand/models"
)

// ChangeSet collects what one write wants to change, so that a write that fails
// half-way leaves the unit of work as it was.
type ChangeSet struct {
	unit    *UnitOfWork
	changes []levelChange   // in the order of the first request
	index   map[LevelID]int // of changes, once there are more than searchedMax
	made    []LevelID       // levels that the changes make for reservations
	buffer  []models.Level  // of levels
}

// levelChange is the change of one level.
type levelChange struct {
	id    LevelID
	delta models.Quantities
	void  bool // forgotten, and not changed since
}

// searchedMax is how many changes are searched one by one. Most carts are smaller,
// and then a map costs more than the search.
const searchedMax = 16

// ChangeSet returns an empty change set.
func (u *UnitOfWork) ChangeSet() *ChangeSet { return &ChangeSet{unit: u} }

// Reset drops all changes.
func (c *ChangeSet) Reset() {
	c.changes, c.made = c.changes[:0], c.made[:0]
	clear(c.index)
}

// change returns the change of a level, nil where there is none.
func (c *ChangeSet) change(id LevelID) *levelChange {
	if len(c.changes) > searchedMax {
		if i, known := c.index[id]; known {
			return &c.changes[i]
		}
		return nil
	}
	for i := range c.changes {
		if c.changes[i].id == id {
			return &c.changes[i]
		}
	}
	return nil
}

// add adds a delta to a level.
func (c *ChangeSet) add(id LevelID, delta models.Quantities) {
	if known := c.change(id); known != nil {
		known.delta, known.void = known.delta.Plus(delta), false
		return
	}
	c.changes = append(c.changes, levelChange{id: id, delta: delta})
	switch n := len(c.changes); {
	case n == searchedMax+1:
		if c.index == nil {
			c.index = make(map[LevelID]int, 2*n)
		}
		for i := range c.changes {
			c.index[c.changes[i].id] = i
		}
	case n > searchedMax:
		c.index[id] = n - 1
	}
}

// forget drops the changes of a product at these locations.
func (c *ChangeSet) forget(product string, at []models.Allocation) {
	for _, a := range at {
		if known := c.change(LevelID{product, a.LocationID}); known != nil {
			known.delta, known.void = models.Quantities{}, true
		}
	}
}

// level is the level with these changes; a zero level where there is none yet.
func (c *ChangeSet) level(id LevelID) models.Level {
	l := models.Level{ProductID: id.Product, LocationID: id.Location}
	if stored := c.unit.level(id); stored != nil {
		l = *stored
	} else if location, ok := c.unit.Locations[id.Location]; ok {
		l.Active, l.Priority = location.Active, location.Priority
	}
	if known := c.change(id); known != nil {
		l.Quantities = l.Plus(known.delta)
	}
	return l
}

// levels are a product's levels with these changes, in sourcing order, with those that
// the changes make. The next call overwrites them.
func (c *ChangeSet) levels(product string) []models.Level {
	c.buffer = c.buffer[:0]
	for _, l := range c.unit.Levels[product] {
		changed := *l
		if known := c.change(LevelID{product, l.LocationID}); known != nil {
			changed.Quantities = changed.Plus(known.delta)
		}
		c.buffer = append(c.buffer, changed)
	}
	for _, id := range c.made {
		if known := c.change(id); id.Product == product && !known.void {
			c.buffer = append(c.buffer, c.level(id))
			slices.SortStableFunc(c.buffer, inSourcingOrder)
		}
	}
	return c.buffer
}

// makeLevel notes that the changes make a level.
func (c *ChangeSet) makeLevel(id LevelID) {
	if !slices.Contains(c.made, id) {
		c.made = append(c.made, id)
	}
}

// shift moves units of a product from one state to another at the allocated
// locations, and returns how many it found. A count by an operator may have
// reduced the state that shift takes from, or filled the state that it adds to. Then
// shift moves the units that are there and fit, because a reservation must still end.
func (c *ChangeSet) shift(product string, allocations []models.Allocation, from, to models.State) (found int) {
	for _, a := range allocations {
		id := LevelID{product, a.LocationID}
		level := c.level(id)
		n := min(a.Quantity, *level.Of(from))
		if n <= 0 {
			continue
		}
		found += n
		var delta models.Quantities
		*delta.Of(from) -= n
		if to != "" {
			*delta.Of(to) += min(n, models.QuantityMax-*level.Of(to))
		}
		c.add(id, delta)
	}
	return found
}

// namedStocks names the products of the change set, in id order. Their stock is
// filled in after the commit.
func (c *ChangeSet) namedStocks() []*models.Stock {
	set := map[string]bool{}
	for _, change := range c.changes {
		set[change.id.Product] = true
	}
	var out []*models.Stock
	for _, id := range SortedKeys(set) {
		out = append(out, &models.Stock{Product: models.Product{ProductID: id}})
	}
	return out
}

// Apply writes the change set into the unit of work, with one movement per level
// that changed. A level that is counted as zero for the first time is created without
// a movement.
func (c *ChangeSet) Apply(entry models.StockMovement) {
	for _, change := range c.changes {
		if change.void {
			continue
		}
		id, delta := change.id, change.delta
		unchanged := delta == (models.Quantities{})
		l := c.unit.level(id)
		if unchanged && l != nil {
			continue
		}
		if l == nil {
			l = c.createLevel(id)
		}
		l.Quantities = l.Plus(delta)
		c.unit.changedLevels[id] = l
		if unchanged {
			continue
		}
		entry.ProductID, entry.LocationID, entry.Delta, entry.After = id.Product, id.Location, delta, l.Quantities
		entry.CreatedAt = c.unit.Now
		c.unit.Movements = append(c.unit.Movements, entry)
		if c.unit.Counts.Asked() {
			c.unit.Counts.Move(entry, c.unit.expiryOf(entry))
		}
	}
}

func (c *ChangeSet) createLevel(id LevelID) *models.Level {
	l := c.level(id)
	l.Quantities = models.Quantities{}
	c.unit.AddLevel(&l)
	c.unit.CreatedLevels[id] = true
	return &l
}
