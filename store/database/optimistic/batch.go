package optimistic

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// OptimisticEngine is what an engine does for optimistic batches.
type Engine interface {
	// fetch reads products and then their levels without a lock, in one round trip.
	FetchProducts(ctx context.Context, products []string) (*decide.UnitOfWork, error)
	// newRows returns an empty list of reservation rows; recycle takes one back that
	// is not needed any more.
	NewRows() ReservationRows
	Recycle(ReservationRows)
	// commitPlan commits a closed batch in one round trip.
	//
	// Errors: one that wraps ErrRefused where the database found something else than
	// the batch expects, or one of its keys used before.
	CommitBatch(ctx context.Context, p *Batch, lockWait time.Duration) (CommitResult, error)
}

// ReservationRows collects the rows of new reservations in the engine's own form.
type ReservationRows interface {
	// Add adds the row of one reservation with its time to live.
	Add(hashes *decide.KeyHashes, reservation *models.Reservation, ttl time.Duration)
	// Args are the rows as parameters of a statement.
	Args() []any
	// AnswerKeys are the keys of the answers that there must not be, as a parameter.
	AnswerKeys() any
	// Reset empties the list; false, where it is too large to be kept.
	Reset() bool
}

// Executor decides reservations on the snapshot cache before their transaction
// begins. A nil Executor decides none. It is safe for concurrent use.
type Executor struct {
	// LockWait bounds the wait for one locked row; Timeout bounds one commit.
	LockWait, Timeout time.Duration

	Engine  Engine
	Cache   *Cache
	secrets func() (epoch string, secret *decide.Secret)
}

func NewExecutor(engine Engine, secrets func() (string, *decide.Secret)) *Executor {
	return &Executor{LockWait: dialect.LockTimeout, Timeout: dialect.WriteTimeout, Engine: engine, Cache: newCache(), secrets: secrets}
}

// Prepare works out what a write needs that does not depend on the stock. It is
// nil for writes that are never decided ahead.
func (e *Executor) Prepare(w models.Write) *PreparedReservation {
	reserve, ok := w.(models.Reserve)
	if e == nil || !ok || w.Key() == "" {
		return nil
	}
	_, secret := e.secrets()
	if secret == nil {
		return nil
	}
	return &PreparedReservation{reserve: reserve, secret: secret, hashes: secret.Hash(w)}
}

// ErrRefused is what becomes of a plan that was decided on what is no longer so.
var ErrRefused = errors.New("a plan counts on what is no longer so")

// Prepared is a write with what can be worked out before its turn.
type PreparedReservation struct {
	reserve models.Reserve
	secret  *decide.Secret // what the hashes were made with
	hashes  decide.KeyHashes
}

// Plan is a batch of holds that is decided while another transaction is still
// running, on what this process remembers of the products. Its own transaction
// then takes one round trip. A plan by version has the database compare the
// products' versions under lock, and is refused, all of it, when anything was not
// as remembered.
//
// Where others change its products too, and each has one level only, it goes by
// stock: the database asks for the same shape and for enough stock, whatever was
// taken or brought meanwhile, and tells what it came to. So several copies share a
// rush.
//
// The next plan may be decided while this one is carried out: on what this one
// leaves behind from Close on. It is committed after this one, and refused should
// this one have failed.
//
// Add, Close and Drop must be called one at a time.
type Batch struct {
	executor     *Executor
	Unit         *decide.UnitOfWork
	decider      *decide.Decider
	changes      *decide.ChangeSet         // of one hold after the other
	Products     map[string]*CachedProduct // of all lines
	Reservations []decidedReservation
	Rows         ReservationRows
	Movements    Movements
	stocks       []*models.Stock
	Levels       []TakenLevel
	Expected     []ExpectedProduct
	multiLevel   bool // some product has several levels, or is not tracked
	contended    bool // others change some product too
	Conditional  bool // it goes by stock, not by version
	stale        bool // something of it was found to be remembered wrongly since
}

// hold is one hold that was decided; its times come from the database.
type decidedReservation struct {
	reservation *models.Reservation
	ttl         time.Duration
}

// heldLevel is a level as the plan leaves it, and what the plan has taken of it.
type TakenLevel struct {
	models.Level
	Taken int
}

// expected is a product's version and shape as remembered; changed tells whether
// it gets the next version.
type ExpectedProduct struct {
	ID               string
	Version          int64
	SettingsRevision int64
	changed          bool
}

// next is the version that the product has after the plan.
func (x *ExpectedProduct) Next() int64 {
	if x.changed {
		return x.Version + 1
	}
	return x.Version
}

// foundLevel is a product's one level after a plan by stock, and its version, where
// they are not as planned.
type FoundLevel struct {
	Product string
	Version int64
	models.Quantities
}

// NewPlan begins a plan; nil where nothing is decided ahead.
func (e *Executor) Begin() *Batch {
	if e == nil {
		return nil
	}
	rows := e.Engine.NewRows()
	p := &Batch{executor: e, Unit: decide.NewUnitOfWork(), Products: map[string]*CachedProduct{}, Rows: rows, Movements: newMovements()}
	p.decider, p.changes = &decide.Decider{UnitOfWork: p.Unit}, p.Unit.ChangeSet()
	return p
}

// Unknown lists the products of a hold of which nothing is remembered, each once
// or more: those that Fetch would read.
func (e *Executor) Missing(w *PreparedReservation) (ids []string) {
	if e == nil {
		return nil
	}
	m := e.Cache
	if w == nil {
		return nil
	}
	m.Mu.Lock()
	defer m.Mu.Unlock()
	for _, line := range w.reserve.Lines {
		if m.Products[line.ProductID] == nil {
			ids = append(ids, line.ProductID)
		}
	}
	return ids
}

// Fetch reads products, so that holds of them can be decided ahead. Nothing is
// locked: who decides on it has the database check. Those that do not exist stay
// unknown.
func (e *Executor) Fetch(ctx context.Context, ids []string) error {
	if e == nil {
		return nil
	}
	slices.Sort(ids)
	v, err := e.Engine.FetchProducts(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	e.Cache.addFetched(v)
	return nil
}

// Add decides one more hold. It is false, and nothing has changed, when the hold
// must be decided the ordinary way: something of it is not remembered, or it
// would not be granted whole, or its key may have been used before.
func (p *Batch) Add(w *PreparedReservation) bool {
	if w == nil {
		return false
	}
	m := p.executor.Cache
	m.Mu.Lock()
	defer m.Mu.Unlock()
	epoch, secret := p.executor.secrets()
	if epoch == "" || epoch != m.Epoch || !secret.Equal(w.secret) || !p.sameEpoch(m) || !p.loadProducts(w.reserve) {
		return false
	}
	draft := p.changes
	draft.Reset()
	lines, errs := p.decider.Allocate(draft, w.reserve.Lines, w.reserve.Channel, false)
	if lines == nil || errs != nil || m.recordKey(w.hashes.Reservation) {
		return false
	}
	key := w.hashes.Reservation
	r := &models.Reservation{
		ID: decide.ReservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.reserve.Channel,
		Owner: w.reserve.OwnerRef, Version: 1,
	}
	draft.Apply(models.StockMovement{})
	for i := range p.Unit.Movements {
		moved := &p.Unit.Movements[i]
		p.Movements.add(moved, key, p.Products[moved.ProductID].Product.Version+1)
	}
	p.Unit.Movements = p.Unit.Movements[:0]
	p.Reservations = append(p.Reservations, decidedReservation{r, w.reserve.HoldTTL()})
	p.Rows.Add(&w.hashes, r, w.reserve.HoldTTL())
	return true
}

// begun tells whether memory still is of the history and the directory that the
// plan was begun on: these are what the database compares.
func (p *Batch) sameEpoch(m *Cache) bool {
	if p.Unit.Epoch == "" {
		p.Unit.Epoch, p.Unit.Directory = m.Epoch, m.directory
	}
	return p.Unit.Epoch == m.Epoch && p.Unit.Directory == m.directory
}

// know brings what a hold needs from memory into the plan's view; false, and
// nothing is taken over, where a product is missing. Callers hold the memory's lock.
func (p *Batch) loadProducts(w models.Reserve) bool {
	m := p.executor.Cache
	several, contested := p.multiLevel, p.contended
	for _, line := range w.Lines {
		known := p.Products[line.ProductID]
		if known == nil {
			known = m.Products[line.ProductID]
		}
		if known == nil || known.stale && p.Products[line.ProductID] == nil {
			return false
		}
		several, contested = several || !known.singleLevel(), contested || m.isContended(line.ProductID)
	}
	if several && contested { // it would have to go by versions that others are about to change
		return false
	}
	p.multiLevel, p.contended = several, contested
	if w.Channel != "" {
		known := m.channels[w.Channel]
		if known == nil {
			return false
		}
		p.Unit.Channels[w.Channel] = known
	}
	for _, line := range w.Lines {
		if line.LocationID != "" {
			location, known := m.locations[line.LocationID]
			if !known {
				return false
			}
			p.Unit.Locations[line.LocationID] = location
		}
		if p.Products[line.ProductID] != nil {
			continue
		}
		known := m.Products[line.ProductID]
		p.Products[line.ProductID] = known
		p.Unit.Products[line.ProductID] = &known.Product
		p.Unit.Levels[line.ProductID] = known.Levels
	}
	return true
}

// Close takes no more holds, and notes what the plan leaves behind: the next
// one may be decided on that from now on.
func (p *Batch) Close() {
	m := p.executor.Cache
	m.Mu.Lock()
	defer m.Mu.Unlock()
	for _, l := range p.Unit.LevelsToSave(false) { // copied: the next plan goes on changing them
		p.Levels = append(p.Levels, TakenLevel{*l, p.Movements.taken(decide.LevelID{Product: l.ProductID, Location: l.LocationID})})
	}
	p.stocks = p.Unit.CommittedStocks()
	touched, overtaken := p.Unit.ChangedProductSet(), p.overtaken()
	for _, id := range decide.SortedKeys(p.Products) {
		known := p.Products[id]
		p.stale = p.stale || known.stale
		p.contended = p.contended || m.isContended(id)
		p.Expected = append(p.Expected, ExpectedProduct{id, known.Product.Version, known.settingsRevision, touched[id]})
		if touched[id] {
			known.Product.Version++
		}
	}
	p.Conditional = p.contended && !p.multiLevel
	p.stale = p.stale || overtaken && !p.Conditional
}

// ByStock tells whether a closed plan goes by stock: others change its products too.
func (p *Batch) Contended() bool { return p.Conditional }

// overtaken tells that the plan before this one found that others had changed some
// product. Its levels are right by now; of what was decided before that, the
// movements still say what was thought to be there, which a plan by stock does not
// use.
func (p *Batch) overtaken() bool {
	return slices.ContainsFunc(p.Movements.Order, func(l *LevelMovements) bool {
		return l.Version != p.Products[l.Product].Product.Version+1
	})
}

// level is the one level of a product that a closed plan takes of.
func (p *Batch) level(product string) *TakenLevel {
	i, _ := slices.BinarySearchFunc(p.Levels, product, func(l TakenLevel, id string) int { return cmp.Compare(l.ProductID, id) })
	return &p.Levels[i]
}

// Drop takes back what the plan left behind: what is remembered of its products
// is no longer true, but for the versions they had.
func (p *Batch) Drop() {
	m := p.executor.Cache
	m.Mu.Lock()
	defer m.Mu.Unlock()
	for _, known := range p.Products {
		known.stale = true
	}
	for _, x := range p.Expected {
		known := p.Products[x.ID]
		known.Product.Version = min(known.Product.Version, x.Version)
	}
}

// Commit carries the plan out. On an error nothing is known to have happened;
// the same holds may be decided the ordinary way.
func (p *Batch) Commit(ctx context.Context) (models.Outcome, error) {
	if p.stale {
		return models.Outcome{}, ErrRefused // found out before it was sent
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.executor.Timeout)
	defer cancel()
	c, err := p.executor.Engine.CommitBatch(ctx, p, p.executor.LockWait)
	if err != nil {
		return models.Outcome{}, err
	}
	p.executor.Cache.committed(p, c.Found)
	p.executor.Engine.Recycle(p.Rows)
	p.Rows = nil
	out := models.Outcome{Results: make([]models.WriteResult, len(p.Reservations)), Stocks: p.stocks}
	for i, h := range p.Reservations {
		h.reservation.CreatedAt, h.reservation.ServerTime, h.reservation.ExpiresAt = c.CreatedAt, c.ChangedAt, c.CreatedAt.Add(h.ttl)
		out.Results[i] = models.WriteResult{Reservation: h.reservation}
	}
	for _, s := range out.Stocks {
		s.AsOf = c.ChangedAt
	}
	for _, f := range c.Found {
		i, _ := slices.BinarySearchFunc(out.Stocks, f.Product, func(s *models.Stock, id string) int { return cmp.Compare(s.ProductID, id) })
		out.Stocks[i].Version, out.Stocks[i].Levels[0].Quantities = f.Version, f.Quantities
	}
	return out, nil
}

// planOutcome is what became of a plan that was carried out.
type CommitResult struct {
	CreatedAt, ChangedAt time.Time // as of which the holds were made, and the stock changed
	Found                []FoundLevel
}
