package optimistic

import (
	"cmp"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/holderusage"
)

// ReservationBatch is an optimistic batch. Its exported fields are for the engine, which reads
// them once the batch is closed.
//
// Add, Close and Discard must be called one at a time.
type ReservationBatch struct {
	Unit         *decide.UnitOfWork
	Reservations []decidedReservation
	Rows         ReservationRows // of the reservations
	Movements    Movements
	Levels       []TakenLevel      // by product and location
	Expected     []ExpectedProduct // by id
	// Conditional has the batch check by conditional decrement, not by compare-and-set.
	Conditional bool
	// Held are the holdings of counted reservations that the batch adds to, in order.
	Held []holderusage.Within
	// Purchases are those that the batch adds to.
	Purchases []holderusage.PurchaseWithin
	// NotAfter is the earliest time that some key may not be used after; nil for none.
	NotAfter *time.Time

	executor   *Executor
	decider    *decide.Decider
	changes    *decide.ChangeSet         // of one reservation after the other
	products   map[string]*cachedProduct // of all lines
	needs      map[string]int            // units that a product needs before the batch, where a channel has a buffer
	held       map[holderusage.ID]holderusage.Within
	purchases  map[holderusage.ID]int // of Purchases
	stocks     []*models.Stock        // as committed
	multiLevel bool                   // some product has several levels, or is not tracked
	contended  bool                   // another instance changes some product too
	stale      bool                   // some assumption was found to be wrong since
}

// decidedReservation is a reservation that was decided; its times come from the
// database.
type decidedReservation struct {
	reservation *models.Reservation
	ttl         time.Duration
}

// TakenLevel is a level as the batch leaves it, and how many units the batch takes.
type TakenLevel struct {
	models.Level
	Taken int
}

// ExpectedProduct is a product as the batch was decided on it.
type ExpectedProduct struct {
	ID               string
	Version          int64
	SettingsRevision int64
	Floor            int // the least available quantity that its settings allow
	changed          bool
}

// Next returns the version that the product has after the batch.
func (p *ExpectedProduct) Next() int64 {
	if p.changed {
		return p.Version + 1
	}
	return p.Version
}

// Begin returns an open batch; nil where the executor is nil.
func (e *Executor) Begin() *ReservationBatch {
	if e == nil {
		return nil
	}
	unit := decide.NewUnitOfWork()
	unit.FixedLevels = true
	return &ReservationBatch{
		Unit: unit, Rows: e.engine.NewRows(), Movements: newMovements(),
		executor: e, decider: &decide.Decider{UnitOfWork: unit}, changes: unit.ChangeSet(), products: map[string]*cachedProduct{},
	}
}

// Add decides one more reservation. It returns false, and changes nothing, when the
// reservation must be decided under lock: the cache lacks something of it, or it
// would not be granted whole, or its key may have been used before or may soon not be
// used any more.
func (b *ReservationBatch) Add(w *PreparedReservation) bool {
	if w == nil || w.soonTooLate() {
		return false
	}
	c := b.executor.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	epoch, secret := b.executor.identity()
	if epoch == "" || epoch != c.epoch || !secret.Equal(w.secret) || !b.sameEpoch(c) || !b.load(c, w.reserve) {
		return false
	}
	b.changes.Reset()
	lines, errs := b.decider.Allocate(b.changes, w.reserve.Lines, w.reserve.Channel)
	if lines == nil || errs != nil || c.recordKey(w.hashes.Reservation) {
		return false
	}
	counted, inPurchases, within := b.admit(w.reserve, lines)
	if !within {
		return false
	}
	key := w.hashes.Reservation
	r := &models.Reservation{
		ID: decide.ReservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.reserve.Channel,
		Owner: w.reserve.OwnerRef, Holder: w.reserve.Holder, Version: 1,
	}
	b.changes.Apply(models.StockMovement{})
	for i := range b.Unit.Movements {
		m := &b.Unit.Movements[i]
		b.Movements.add(m, key, b.products[m.ProductID].product.Version+1)
	}
	b.noteBuffers(w.reserve)
	b.Unit.Movements = b.Unit.Movements[:0]
	if limit := w.reserve.NotAfter; limit != nil && (b.NotAfter == nil || limit.Before(*b.NotAfter)) {
		b.NotAfter = limit
	}
	b.Reservations = append(b.Reservations, decidedReservation{r, w.reserve.ReservationTTL()})
	b.Rows.Add(&w.hashes, r, w.reserve.ReservationTTL(), counted, inPurchases)
	return true
}

// sameEpoch reports whether the cache still is of the epoch and of the version of
// locations and channels that the batch began with. The database compares these.
func (b *ReservationBatch) sameEpoch(c *cache) bool {
	if b.Unit.Epoch == "" {
		b.Unit.Epoch, b.Unit.Directory = c.epoch, c.directory
	}
	return b.Unit.Epoch == c.epoch && b.Unit.Directory == c.directory
}

// load brings what a reservation needs from the cache into the batch's unit of work.
// It returns false, and loads nothing of the products, where something is missing.
// Callers hold the cache's lock.
func (b *ReservationBatch) load(c *cache, w models.Reserve) bool {
	multiLevel, contended := b.multiLevel, b.contended
	for _, line := range w.Lines {
		p := b.products[line.ProductID]
		if p == nil {
			if p = c.products[line.ProductID]; p == nil || p.stale {
				return false
			}
		}
		multiLevel = multiLevel || !p.singleLevel()
		contended = contended || c.isContended(line.ProductID)
	}
	if contended && (multiLevel || b.executor.NoConditional) { // versions that another instance is about to change
		return false
	}
	b.multiLevel, b.contended = multiLevel, contended
	if !b.loadDirectory(c, w) {
		return false
	}
	for _, line := range w.Lines {
		if b.products[line.ProductID] == nil {
			p := c.products[line.ProductID]
			b.products[line.ProductID] = p
			b.Unit.Products[line.ProductID] = &p.product
			b.Unit.Levels[line.ProductID] = p.levels
		}
	}
	return true
}

// loadDirectory brings a reservation's channel and locations into the unit of work.
func (b *ReservationBatch) loadDirectory(c *cache, w models.Reserve) bool {
	if w.Channel != "" {
		channel := c.channels[w.Channel]
		if channel == nil {
			return false
		}
		b.Unit.Channels[w.Channel] = channel
	}
	for _, line := range w.Lines {
		if line.LocationID == "" {
			continue
		}
		location, known := c.locations[line.LocationID]
		if !known {
			return false
		}
		b.Unit.Locations[line.LocationID] = location
	}
	return true
}

// Close ends the adding and publishes what the batch leaves behind in the snapshot
// cache: the next batch may be decided on that from now on.
func (b *ReservationBatch) Close() {
	c := b.executor.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range b.Unit.LevelsToSave(false) { // copied: the next batch changes them further
		b.Levels = append(b.Levels, TakenLevel{*l, b.Movements.taken(decide.LevelID{Product: l.ProductID, Location: l.LocationID})})
	}
	b.Held = sortedHoldings(b.held)
	b.stocks = b.Unit.CommittedStocks()
	changed, overtaken := b.Unit.ChangedProductSet(), b.overtaken()
	for _, id := range decide.SortedKeys(b.products) {
		p := b.products[id]
		b.stale = b.stale || p.stale
		b.contended = b.contended || c.isContended(id)
		b.Expected = append(b.Expected, ExpectedProduct{
			ID: id, Version: p.product.Version, SettingsRevision: p.settingsRevision, Floor: b.floorOf(p), changed: changed[id],
		})
		if changed[id] {
			p.product.Version++
		}
	}
	b.Conditional = b.contended && !b.multiLevel && !b.executor.NoConditional
	b.stale = b.stale || overtaken && !b.Conditional
}

// noteBuffers notes what a conditional decrement must find for a reservation through a
// channel that keeps units back: the units of the batch so far, and the buffer above
// the floor. A product of several levels is never decremented conditionally.
func (b *ReservationBatch) noteBuffers(w models.Reserve) {
	if w.Channel == "" {
		return
	}
	c := b.Unit.Channels[w.Channel]
	for _, line := range w.Lines {
		p := b.products[line.ProductID]
		if buffer := p.product.Buffers.Of(w.Channel, c.Buffer); buffer > 0 && p.singleLevel() {
			if b.needs == nil {
				b.needs = map[string]int{}
			}
			need := p.product.Floor() + buffer + b.taken(p)
			if before, noted := b.needs[line.ProductID]; !noted || need > before {
				b.needs[line.ProductID] = need
			}
		}
	}
}

// taken returns how many units the batch takes of a product with one level.
func (b *ReservationBatch) taken(p *cachedProduct) int {
	return b.Movements.taken(decide.LevelID{Product: p.product.ProductID, Location: p.levels[0].LocationID})
}

// floorOf is the least quantity that the batch may leave of a product: its floor, or
// more where a channel's buffer asks for it.
func (b *ReservationBatch) floorOf(p *cachedProduct) int {
	floor := p.product.Floor()
	if need, noted := b.needs[p.product.ProductID]; noted {
		floor = max(floor, need-b.taken(p))
	}
	return floor
}

// overtaken reports whether the batch before this one found that another instance had
// changed some product. The levels are right by now. The movements that were decided
// before still have the quantities of that time, which a conditional batch does not
// use.
func (b *ReservationBatch) overtaken() bool {
	return slices.ContainsFunc(b.Movements.Order, func(l *LevelMovements) bool {
		return l.Version != b.products[l.Product].product.Version+1
	})
}

// level returns the one level of a product that a closed batch takes from.
func (b *ReservationBatch) level(product string) *TakenLevel {
	i, _ := slices.BinarySearchFunc(b.Levels, product, func(l TakenLevel, id string) int { return cmp.Compare(l.ProductID, id) })
	return &b.Levels[i]
}

// Discard marks the cached products of the batch as stale: they have what did not
// happen. Their versions stay the last known ones, so that the next change by another
// instance is noticed.
func (b *ReservationBatch) Discard() {
	c := b.executor.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range b.products {
		p.stale = true
	}
	for _, x := range b.Expected {
		p := b.products[x.ID]
		p.product.Version = min(p.product.Version, x.Version)
	}
}
