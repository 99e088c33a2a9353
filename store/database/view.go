package database

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"onhand/models"
)

// levelID names a level.
type levelID struct{ product, location string }

// view is what a transaction has locked and read, and what was decided on it
// so far. Decisions see the effect of the earlier ones in the batch.
type view struct {
	now       time.Time
	epoch     string
	directory int64 // the version of locations and channels; Postgres only
	anyDue    bool  // some active hold of any product is past its time
	products  map[string]*models.Product
	shapes    map[string]int64           // of the products as loaded; Postgres only
	levels    map[string][]*models.Level // by product, in sourcing order
	held      map[[16]byte]*storedReservation
	answers   map[[16]byte]*storedAnswer
	locations map[string]models.Location
	channels  map[string]*channel

	// What was decided.
	dirty     map[levelID]*models.Level
	created   map[levelID]bool
	made      map[[16]byte]bool // reservations that are new
	changed   map[[16]byte]bool // reservations that were there
	answered  map[[16]byte]bool // answers that are new
	movements []models.StockMovement
	settings  settings
	// shortOf holds products that somebody was refused for, or that were counted:
	// their holds past their time are ended first.
	shortOf map[string]bool
	// named holds products that an answer names, changed or not.
	named map[string]bool
}

func newView() *view {
	return &view{
		products: map[string]*models.Product{}, shapes: map[string]int64{}, levels: map[string][]*models.Level{},
		held: map[[16]byte]*storedReservation{}, answers: map[[16]byte]*storedAnswer{},
		locations: map[string]models.Location{}, channels: map[string]*channel{},
		dirty: map[levelID]*models.Level{}, created: map[levelID]bool{},
		made: map[[16]byte]bool{}, changed: map[[16]byte]bool{}, answered: map[[16]byte]bool{},
		shortOf: map[string]bool{}, named: map[string]bool{},
	}
}

// addShaped keeps a product that was loaded, with its shape.
func (v *view) addShaped(p *shapedProduct) {
	v.products[p.ProductID], v.shapes[p.ProductID] = &p.Product, p.shape
}

// addLevel keeps a level that was loaded or newly made, in sourcing order.
func (v *view) addLevel(l *models.Level) {
	levels := append(v.levels[l.ProductID], l)
	slices.SortStableFunc(levels, func(a, b *models.Level) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.LocationID, b.LocationID))
	})
	v.levels[l.ProductID] = levels
}

func (v *view) level(id levelID) *models.Level {
	for _, l := range v.levels[id.product] {
		if l.LocationID == id.location {
			return l
		}
	}
	return nil
}

// draft collects what one write wants to change, so that a write that fails
// half-way leaves the view as it was.
type draft struct {
	view    *view
	changes []change        // in the order first asked for
	index   map[levelID]int // of changes, where they are many
	room    []models.Level  // for the answer of levels
}

// change is what a draft does to one level.
type change struct {
	id    levelID
	delta models.Quantities
}

// changesSearched is how many changes are looked through one by one.
const changesSearched = 16

func (v *view) draft() *draft { return &draft{view: v} }

// reset forgets all changes.
func (d *draft) reset() {
	d.changes = d.changes[:0]
	clear(d.index)
}

// at is what is done to a level; nil: nothing.
func (d *draft) at(id levelID) *models.Quantities {
	if len(d.changes) > changesSearched {
		if i, known := d.index[id]; known {
			return &d.changes[i].delta
		}
		return nil
	}
	for i := range d.changes {
		if d.changes[i].id == id {
			return &d.changes[i].delta
		}
	}
	return nil
}

// move adds a delta to a level.
func (d *draft) move(id levelID, delta models.Quantities) {
	if sum := d.at(id); sum != nil {
		*sum = sum.Plus(delta)
		return
	}
	d.changes = append(d.changes, change{id, delta})
	switch n := len(d.changes); {
	case n == changesSearched+1:
		if d.index == nil {
			d.index = make(map[levelID]int, 2*n)
		}
		for i := range d.changes {
			d.index[d.changes[i].id] = i
		}
	case n > changesSearched:
		d.index[id] = n - 1
	}
}

// now is the level with this draft's changes; a zero level where there is none.
func (d *draft) now(id levelID) models.Level {
	l := models.Level{ProductID: id.product, LocationID: id.location}
	if stored := d.view.level(id); stored != nil {
		l = *stored
	} else if place, ok := d.view.locations[id.location]; ok {
		l.Active, l.Priority = place.Active, place.Priority
	}
	if delta := d.at(id); delta != nil {
		l.Quantities = l.Plus(*delta)
	}
	return l
}

// levels are a product's levels with this draft's changes, in sourcing order.
// They are good until it is asked again.
func (d *draft) levels(product string) []models.Level {
	d.room = d.room[:0]
	for _, l := range d.view.levels[product] {
		now := *l
		if delta := d.at(levelID{product, l.LocationID}); delta != nil {
			now.Quantities = now.Plus(*delta)
		}
		d.room = append(d.room, now)
	}
	return d.room
}

// apply writes the draft into the view, one movement a level that changed. A
// level counted as zero for the first time is made, but nothing has moved.
func (d *draft) apply(row models.StockMovement) {
	for _, change := range d.changes {
		id, delta := change.id, change.delta
		l := d.view.level(id)
		still := delta == (models.Quantities{})
		if still && l != nil {
			continue
		}
		if l == nil {
			made := d.now(id)
			made.Quantities = models.Quantities{}
			l = &made
			d.view.addLevel(l)
			d.view.created[id] = true
		}
		l.Quantities = l.Plus(delta)
		d.view.dirty[id] = l
		if still {
			continue
		}
		row.ProductID, row.LocationID, row.Delta, row.After = id.product, id.location, delta, l.Quantities
		row.CreatedAt = d.view.now
		d.view.movements = append(d.view.movements, row)
	}
}

// put keeps a reservation that is new or has changed.
func (v *view) put(s *storedReservation) {
	if _, known := v.held[s.key]; known {
		s.Version++
		v.changed[s.key] = true
	} else {
		v.made[s.key] = true
	}
	v.held[s.key] = s
}

// touched lists the products whose levels changed, in id order.
func (v *view) touched() []string { return sortedKeys(v.touchedSet()) }

func (v *view) touchedSet() map[string]bool {
	set := map[string]bool{}
	for id := range v.dirty {
		set[id.product] = true
	}
	return set
}

// told lists the products that watchers and answers are told of: those whose
// levels changed, and those that an answer names.
func (v *view) told() []string {
	set := maps.Clone(v.named)
	for id := range v.dirty {
		set[id.product] = true
	}
	return sortedKeys(set)
}

// committed is the stock of the products told of as it is once the transaction
// has committed, those that are unknown left out. All of their rows are locked.
func (v *view) committed() []*models.Stock {
	touched := v.touchedSet()
	var stocks []*models.Stock
	for _, id := range v.told() {
		product := v.products[id]
		if product == nil {
			continue
		}
		s := &models.Stock{Product: *product, Epoch: v.epoch, AsOf: v.now, Source: models.FromDatabase}
		if touched[id] {
			s.Version++
		}
		for _, l := range v.levels[id] {
			s.Levels = append(s.Levels, *l)
		}
		stocks = append(stocks, s)
	}
	return stocks
}

// reread has the levels as they were read back.
func (v *view) reread(stocks []*models.Stock) {
	for _, s := range stocks {
		v.levels[s.ProductID] = nil
		for _, l := range s.Levels {
			v.addLevel(&l)
		}
	}
}

// dirtyLevels lists changed levels, new ones or old ones, in id order.
func (v *view) dirtyLevels(created bool) []*models.Level {
	var out []*models.Level
	for id, l := range v.dirty {
		if v.created[id] == created {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *models.Level) int {
		return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.LocationID, b.LocationID))
	})
	return out
}

// reservations lists reservations that are new or have changed, in id order.
// One that is new and has changed since counts as new.
func (v *view) reservations(made bool) []*storedReservation {
	set := v.changed
	if made {
		set = v.made
	}
	var out []*storedReservation
	for key := range set {
		if made || !v.made[key] {
			out = append(out, v.held[key])
		}
	}
	slices.SortFunc(out, func(a, b *storedReservation) int { return slices.Compare(a.key[:], b.key[:]) })
	return out
}
