package decide

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database/decide/counting"
	"onhand/store/database/decide/holderusage"
)

// LevelID names a stock level.
type LevelID struct{ Product, Location string }

// UnitOfWork is what a transaction has locked and loaded, and what was decided on it
// so far. It is not safe for concurrent use.
type UnitOfWork struct {
	Now        time.Time // the database's clock, read with every lock granted
	Epoch      string
	Directory  int64 // the version of locations and channels; Postgres only
	AnyOverdue bool  // some active reservation of any product is past its expiry
	// VersionPerLevel: a product gets a version for each of its levels that changed, not
	// one for all; SQLite only.
	VersionPerLevel bool

	Products          map[string]*models.Product
	SettingsRevisions map[string]int64           // by product, as loaded; Postgres only
	Levels            map[string][]*models.Level // by product, in sourcing order
	Reservations      map[[16]byte]*StoredReservation
	Answers           map[[16]byte]*storedAnswer
	Locations         map[string]models.Location
	Channels          map[string]*models.ChannelMembers
	// First has the first active location of some channels; the empty id stands for all
	// locations. A product without a level is sold on backorder from there.
	First map[string]models.Location
	// FixedLevels: no level can be made; optimistic batches only.
	FixedLevels bool

	// What was decided.
	changedLevels       map[LevelID]*models.Level
	CreatedLevels       map[LevelID]bool
	createdReservations map[[16]byte]bool
	ChangedReservations map[[16]byte]bool
	NewAnswers          map[[16]byte]bool
	Movements           []models.StockMovement
	Settings            SettingsChange
	// ShortProducts are products that a write was refused for, or that were counted.
	// Their reservations past expiry are ended before the writes are decided again.
	ShortProducts map[string]bool
	// Unplaced are channels whose first active location a write needs and that was not
	// loaded. It is loaded before the writes are decided again.
	Unplaced map[string]bool
	// Counts has what the ledger says of levels that were counted earlier, and the counts
	// that are written.
	Counts counting.Book
	// Holdings has what the holders of reservations have.
	Holdings holderusage.Holdings
	// Purchases has what they got of products with a limit for each owner.
	Purchases holderusage.Purchases
	// NamedProducts are products that a result names, changed or not.
	NamedProducts map[string]bool
}

// NewUnitOfWork returns an empty unit of work.
func NewUnitOfWork() *UnitOfWork {
	return &UnitOfWork{
		Products: map[string]*models.Product{}, SettingsRevisions: map[string]int64{}, Levels: map[string][]*models.Level{},
		Reservations: map[[16]byte]*StoredReservation{}, Answers: map[[16]byte]*storedAnswer{},
		Locations: map[string]models.Location{}, Channels: map[string]*models.ChannelMembers{},
		changedLevels: map[LevelID]*models.Level{}, CreatedLevels: map[LevelID]bool{},
		createdReservations: map[[16]byte]bool{}, ChangedReservations: map[[16]byte]bool{}, NewAnswers: map[[16]byte]bool{},
		ShortProducts: map[string]bool{}, NamedProducts: map[string]bool{},
	}
}

// AddProduct keeps a product that was loaded, with its settings revision.
func (u *UnitOfWork) AddProduct(p *RevisedProduct) {
	u.Products[p.ProductID], u.SettingsRevisions[p.ProductID] = &p.Product, p.SettingsRevision
}

// AddLevel keeps a level that was loaded or created, in sourcing order.
func (u *UnitOfWork) AddLevel(l *models.Level) {
	levels := append(u.Levels[l.ProductID], l)
	slices.SortStableFunc(levels, func(a, b *models.Level) int { return inSourcingOrder(*a, *b) })
	u.Levels[l.ProductID] = levels
}

func inSourcingOrder(a, b models.Level) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.LocationID, b.LocationID))
}

// FirstLocation is the first active location of a channel; the empty id stands for all
// locations.
type FirstLocation struct {
	Channel string
	models.Location
}

// AddFirst keeps the first active location of a channel that was loaded.
func (u *UnitOfWork) AddFirst(f FirstLocation) {
	u.First[f.Channel], u.Locations[f.LocationID] = f.Location, f.Location
}

// NoFirst notes that no location of these channels is active, until AddFirst has one.
func (u *UnitOfWork) NoFirst(channels []string) {
	u.First = make(map[string]models.Location, len(channels))
	for _, id := range channels {
		u.First[id] = models.Location{}
	}
}

// firstLocation returns the first active location of a channel; an empty one where none
// is active. Where it is not loaded, it notes that it is needed: the writes are then
// decided again.
func (u *UnitOfWork) firstLocation(channel string) models.Location {
	l, loaded := u.First[channel]
	if !loaded {
		if u.Unplaced == nil {
			u.Unplaced = map[string]bool{}
		}
		u.Unplaced[channel] = true
	}
	return l
}

// ReplaceLevels replaces the levels of these products by those that were read back.
func (u *UnitOfWork) ReplaceLevels(stocks []*models.Stock) {
	for _, s := range stocks {
		u.Levels[s.ProductID] = nil
		for _, l := range s.Levels {
			u.AddLevel(&l)
		}
	}
}

func (u *UnitOfWork) level(id LevelID) *models.Level {
	for _, l := range u.Levels[id.Product] {
		if l.LocationID == id.Location {
			return l
		}
	}
	return nil
}

// put keeps a reservation that is new or has changed.
func (u *UnitOfWork) put(s *StoredReservation) {
	var was holderusage.Contribution
	if before, known := u.Reservations[s.Key]; known {
		was = before.contribution()
		u.purchase(before, -1)
		s.Version = before.VersionAfter(s.State)
		u.ChangedReservations[s.Key] = true
	} else {
		u.createdReservations[s.Key] = true
	}
	u.Holdings.Move(was, s.contribution())
	u.purchase(s, 1)
	u.Reservations[s.Key] = s
}

// ChangedProducts lists the products whose levels changed, in id order.
func (u *UnitOfWork) ChangedProducts() []string { return SortedKeys(u.ChangedProductSet()) }

// ChangedProductSet is the set of products whose levels changed.
func (u *UnitOfWork) ChangedProductSet() map[string]bool {
	set := map[string]bool{}
	for id := range u.changedLevels {
		set[id.Product] = true
	}
	return set
}

// PublishedProducts lists the products whose stock is published and returned after
// the commit: those whose levels changed, and those that a result names.
func (u *UnitOfWork) PublishedProducts() []string {
	set := maps.Clone(u.NamedProducts)
	for id := range u.changedLevels {
		set[id.Product] = true
	}
	return SortedKeys(set)
}

// CommittedStocks is the stock of the published products as it is once the
// transaction has committed, without unknown products. All their rows are locked.
func (u *UnitOfWork) CommittedStocks() []*models.Stock {
	changed := u.ChangedProductSet()
	var stocks []*models.Stock
	for _, id := range u.PublishedProducts() {
		product := u.Products[id]
		if product == nil {
			continue
		}
		s := &models.Stock{Product: *product, Epoch: u.Epoch, AsOf: u.Now, Source: models.FromDatabase}
		if changed[id] {
			s.Version++
		}
		for _, l := range u.Levels[id] {
			s.Levels = append(s.Levels, *l)
		}
		stocks = append(stocks, s)
	}
	return stocks
}

// LevelsToSave lists the levels that were created, or those that were changed, in id
// order.
func (u *UnitOfWork) LevelsToSave(created bool) []*models.Level {
	var out []*models.Level
	for id, l := range u.changedLevels {
		if u.CreatedLevels[id] == created {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *models.Level) int {
		return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.LocationID, b.LocationID))
	})
	return out
}

// ReservationsToSave lists the reservations that were created, or those that were
// changed, in id order. One that was created and changed since counts as created.
func (u *UnitOfWork) ReservationsToSave(created bool) []*StoredReservation {
	set := u.ChangedReservations
	if created {
		set = u.createdReservations
	}
	var out []*StoredReservation
	for key := range set {
		if created || !u.createdReservations[key] {
			out = append(out, u.Reservations[key])
		}
	}
	slices.SortFunc(out, func(a, b *StoredReservation) int { return slices.Compare(a.Key[:], b.Key[:]) })
	return out
}
