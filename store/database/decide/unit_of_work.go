package decide

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"onhand/models"
)

// levelID names a level.
type LevelID struct{ Product, Location string }

// view is what a transaction has locked and read, and what was decided on it
// so far. Decisions see the effect of the earlier ones in the batch.
type UnitOfWork struct {
	Now               time.Time
	Epoch             string
	Directory         int64 // the version of locations and channels; Postgres only
	AnyOverdue        bool  // some active hold of any product is past its time
	Products          map[string]*models.Product
	SettingsRevisions map[string]int64           // of the products as loaded; Postgres only
	Levels            map[string][]*models.Level // by product, in sourcing order
	Reservations      map[[16]byte]*StoredReservation
	Answers           map[[16]byte]*storedAnswer
	Locations         map[string]models.Location
	Channels          map[string]*ChannelMembers

	// What was decided.
	changedLevels       map[LevelID]*models.Level
	CreatedLevels       map[LevelID]bool
	createdReservations map[[16]byte]bool // reservations that are new
	ChangedReservations map[[16]byte]bool // reservations that were there
	NewAnswers          map[[16]byte]bool // answers that are new
	Movements           []models.StockMovement
	Settings            SettingsChange
	// shortOf holds products that somebody was refused for, or that were counted:
	// their holds past their time are ended first.
	ShortProducts map[string]bool
	// named holds products that an answer names, changed or not.
	NamedProducts map[string]bool
}

func NewUnitOfWork() *UnitOfWork {
	return &UnitOfWork{
		Products: map[string]*models.Product{}, SettingsRevisions: map[string]int64{}, Levels: map[string][]*models.Level{},
		Reservations: map[[16]byte]*StoredReservation{}, Answers: map[[16]byte]*storedAnswer{},
		Locations: map[string]models.Location{}, Channels: map[string]*ChannelMembers{},
		changedLevels: map[LevelID]*models.Level{}, CreatedLevels: map[LevelID]bool{},
		createdReservations: map[[16]byte]bool{}, ChangedReservations: map[[16]byte]bool{}, NewAnswers: map[[16]byte]bool{},
		ShortProducts: map[string]bool{}, NamedProducts: map[string]bool{},
	}
}

// addShaped keeps a product that was loaded, with its shape.
func (v *UnitOfWork) AddProduct(p *RevisedProduct) {
	v.Products[p.ProductID], v.SettingsRevisions[p.ProductID] = &p.Product, p.SettingsRevision
}

// addLevel keeps a level that was loaded or newly made, in sourcing order.
func (v *UnitOfWork) AddLevel(l *models.Level) {
	levels := append(v.Levels[l.ProductID], l)
	slices.SortStableFunc(levels, func(a, b *models.Level) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.LocationID, b.LocationID))
	})
	v.Levels[l.ProductID] = levels
}

func (v *UnitOfWork) level(id LevelID) *models.Level {
	for _, l := range v.Levels[id.Product] {
		if l.LocationID == id.Location {
			return l
		}
	}
	return nil
}

// draft collects what one write wants to change, so that a write that fails
// half-way leaves the view as it was.
type ChangeSet struct {
	unit    *UnitOfWork
	changes []change        // in the order first asked for
	index   map[LevelID]int // of changes, where they are many
	buffer  []models.Level  // for the answer of levels
}

// change is what a draft does to one level.
type change struct {
	id    LevelID
	delta models.Quantities
}

// changesSearched is how many changes are looked through one by one.
const changesSearched = 16

func (v *UnitOfWork) ChangeSet() *ChangeSet { return &ChangeSet{unit: v} }

// reset forgets all changes.
func (d *ChangeSet) Reset() {
	d.changes = d.changes[:0]
	clear(d.index)
}

// at is what is done to a level; nil: nothing.
func (d *ChangeSet) delta(id LevelID) *models.Quantities {
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
func (d *ChangeSet) add(id LevelID, delta models.Quantities) {
	if sum := d.delta(id); sum != nil {
		*sum = sum.Plus(delta)
		return
	}
	d.changes = append(d.changes, change{id, delta})
	switch n := len(d.changes); {
	case n == changesSearched+1:
		if d.index == nil {
			d.index = make(map[LevelID]int, 2*n)
		}
		for i := range d.changes {
			d.index[d.changes[i].id] = i
		}
	case n > changesSearched:
		d.index[id] = n - 1
	}
}

// now is the level with this draft's changes; a zero level where there is none.
func (d *ChangeSet) level(id LevelID) models.Level {
	l := models.Level{ProductID: id.Product, LocationID: id.Location}
	if stored := d.unit.level(id); stored != nil {
		l = *stored
	} else if place, ok := d.unit.Locations[id.Location]; ok {
		l.Active, l.Priority = place.Active, place.Priority
	}
	if delta := d.delta(id); delta != nil {
		l.Quantities = l.Plus(*delta)
	}
	return l
}

// levels are a product's levels with this draft's changes, in sourcing order.
// They are good until it is asked again.
func (d *ChangeSet) levels(product string) []models.Level {
	d.buffer = d.buffer[:0]
	for _, l := range d.unit.Levels[product] {
		now := *l
		if delta := d.delta(LevelID{product, l.LocationID}); delta != nil {
			now.Quantities = now.Plus(*delta)
		}
		d.buffer = append(d.buffer, now)
	}
	return d.buffer
}

// apply writes the draft into the view, one movement a level that changed. A
// level counted as zero for the first time is made, but nothing has moved.
func (d *ChangeSet) Apply(row models.StockMovement) {
	for _, change := range d.changes {
		id, delta := change.id, change.delta
		l := d.unit.level(id)
		still := delta == (models.Quantities{})
		if still && l != nil {
			continue
		}
		if l == nil {
			made := d.level(id)
			made.Quantities = models.Quantities{}
			l = &made
			d.unit.AddLevel(l)
			d.unit.CreatedLevels[id] = true
		}
		l.Quantities = l.Plus(delta)
		d.unit.changedLevels[id] = l
		if still {
			continue
		}
		row.ProductID, row.LocationID, row.Delta, row.After = id.Product, id.Location, delta, l.Quantities
		row.CreatedAt = d.unit.Now
		d.unit.Movements = append(d.unit.Movements, row)
	}
}

// put keeps a reservation that is new or has changed.
func (v *UnitOfWork) put(s *StoredReservation) {
	if _, known := v.Reservations[s.Key]; known {
		s.Version++
		v.ChangedReservations[s.Key] = true
	} else {
		v.createdReservations[s.Key] = true
	}
	v.Reservations[s.Key] = s
}

// touched lists the products whose levels changed, in id order.
func (v *UnitOfWork) ChangedProducts() []string { return SortedKeys(v.ChangedProductSet()) }

func (v *UnitOfWork) ChangedProductSet() map[string]bool {
	set := map[string]bool{}
	for id := range v.changedLevels {
		set[id.Product] = true
	}
	return set
}

// told lists the products that watchers and answers are told of: those whose
// levels changed, and those that an answer names.
func (v *UnitOfWork) PublishedProducts() []string {
	set := maps.Clone(v.NamedProducts)
	for id := range v.changedLevels {
		set[id.Product] = true
	}
	return SortedKeys(set)
}

// committed is the stock of the products told of as it is once the transaction
// has committed, those that are unknown left out. All of their rows are locked.
func (v *UnitOfWork) CommittedStocks() []*models.Stock {
	touched := v.ChangedProductSet()
	var stocks []*models.Stock
	for _, id := range v.PublishedProducts() {
		product := v.Products[id]
		if product == nil {
			continue
		}
		s := &models.Stock{Product: *product, Epoch: v.Epoch, AsOf: v.Now, Source: models.FromDatabase}
		if touched[id] {
			s.Version++
		}
		for _, l := range v.Levels[id] {
			s.Levels = append(s.Levels, *l)
		}
		stocks = append(stocks, s)
	}
	return stocks
}

// reread has the levels as they were read back.
func (v *UnitOfWork) ReplaceLevels(stocks []*models.Stock) {
	for _, s := range stocks {
		v.Levels[s.ProductID] = nil
		for _, l := range s.Levels {
			v.AddLevel(&l)
		}
	}
}

// dirtyLevels lists changed levels, new ones or old ones, in id order.
func (v *UnitOfWork) LevelsToSave(created bool) []*models.Level {
	var out []*models.Level
	for id, l := range v.changedLevels {
		if v.CreatedLevels[id] == created {
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
func (v *UnitOfWork) ReservationsToSave(made bool) []*StoredReservation {
	set := v.ChangedReservations
	if made {
		set = v.createdReservations
	}
	var out []*StoredReservation
	for key := range set {
		if made || !v.createdReservations[key] {
			out = append(out, v.Reservations[key])
		}
	}
	slices.SortFunc(out, func(a, b *StoredReservation) int { return slices.Compare(a.Key[:], b.Key[:]) })
	return out
}
