package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"onhand/models"
)

// ErrRefused is what becomes of a plan that was decided on what is no longer so.
var ErrRefused = errors.New("a plan counts on what is no longer so")

// Prepared is a write with what can be worked out before its turn.
type Prepared struct {
	reserve models.Reserve
	secret  string // what the hashes were made with
	hashes  keyHashes
}

// Prepare works out what a write needs that does not depend on the stock. It is
// nil for writes that are never decided ahead.
func (d *Database) Prepare(w models.Write) *Prepared {
	reserve, ok := w.(models.Reserve)
	meta := d.meta.Load()
	if !ok || d.memory == nil || meta == nil || meta.secret == "" || w.Key() == "" {
		return nil
	}
	mac := meta.macs.Get().(hash.Hash)
	defer meta.macs.Put(mac)
	return &Prepared{reserve: reserve, secret: meta.secret, hashes: hashesWith(mac, w)}
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
type Plan struct {
	d         *Database
	view      *view
	decider   *decider
	draft     *draft                 // of one hold after the other
	products  map[string]*remembered // of all lines
	holds     []hold
	rows      *heldRows
	movements planMovements
	stocks    []*models.Stock
	levels    []heldLevel
	expected  []expected
	several   bool // some product has several levels, or is not tracked
	contested bool // others change some product too
	byStock   bool // it goes by stock, not by version
	mistaken  bool // something of it was found to be remembered wrongly since
}

// hold is one hold that was decided; its times come from the database.
type hold struct {
	reservation *models.Reservation
	ttl         time.Duration
}

// heldLevel is a level as the plan leaves it, and what the plan has taken of it.
type heldLevel struct {
	models.Level
	taken int
}

// expected is a product's version and shape as remembered; changed tells whether
// it gets the next version.
type expected struct {
	id      string
	version int64
	shape   int64
	changed bool
}

// next is the version that the product has after the plan.
func (x *expected) next() int64 {
	if x.changed {
		return x.version + 1
	}
	return x.version
}

// foundLevel is a product's one level after a plan by stock, and its version, where
// they are not as planned.
type foundLevel struct {
	product string
	version int64
	models.Quantities
}

// NewPlan begins a plan; nil where nothing is decided ahead.
func (d *Database) NewPlan() *Plan {
	if d.memory == nil {
		return nil
	}
	rows := d.memory.spare.Swap(nil)
	if rows == nil {
		rows = newHeldRows()
	}
	p := &Plan{d: d, view: newView(), products: map[string]*remembered{}, rows: rows, movements: newPlanMovements()}
	p.decider, p.draft = &decider{view: p.view}, p.view.draft()
	return p
}

// Unknown lists the products of a hold of which nothing is remembered, each once
// or more: those that Fetch would read.
func (d *Database) Unknown(w *Prepared) (ids []string) {
	m := d.memory
	if w == nil || m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range w.reserve.Lines {
		if m.products[line.ProductID] == nil {
			ids = append(ids, line.ProductID)
		}
	}
	return ids
}

// Fetch reads products, so that holds of them can be decided ahead. Nothing is
// locked: who decides on it has the database check. Those that do not exist stay
// unknown.
func (d *Database) Fetch(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	v, err := d.engine.(*postgresEngine).fetch(ctx, slices.Compact(ids))
	if err != nil {
		return d.fault(err)
	}
	d.memory.fetched(v)
	return nil
}

// preloadPage is how many products Preload reads at once.
const preloadPage = 1000

// Preload reads products in order of their ids, as Fetch does, until as many are
// remembered as can be: a copy that starts in the middle of a rush decides ahead
// from the first hold on.
func (d *Database) Preload(ctx context.Context) error {
	if d.memory == nil {
		return nil
	}
	after := ""
	for left := rememberedMax; left > 0; {
		ids, err := d.ProductIDs(ctx, after, min(left, preloadPage))
		if err != nil || len(ids) == 0 {
			return err
		}
		after, left = ids[len(ids)-1], left-len(ids)
		if err := d.Fetch(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}

// Add decides one more hold. It is false, and nothing has changed, when the hold
// must be decided the ordinary way: something of it is not remembered, or it
// would not be granted whole, or its key may have been used before.
func (p *Plan) Add(w *Prepared) bool {
	if w == nil {
		return false
	}
	m := p.d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	meta := p.d.meta.Load()
	if meta == nil || meta.Epoch != m.epoch || meta.secret != w.secret || !p.begun(m) || !p.know(w.reserve) {
		return false
	}
	draft := p.draft
	draft.reset()
	lines, errs := p.decider.allocate(draft, w.reserve.Lines, w.reserve.Channel, false)
	if lines == nil || errs != nil || m.used(w.hashes.reservation) {
		return false
	}
	key := w.hashes.reservation
	r := &models.Reservation{
		ID: reservationID(key[:]), State: models.ReservationActive, Lines: lines, Channel: w.reserve.Channel,
		Owner: w.reserve.OwnerRef, Version: 1,
	}
	draft.apply(models.StockMovement{})
	for i := range p.view.movements {
		moved := &p.view.movements[i]
		p.movements.add(moved, key, p.products[moved.ProductID].product.Version+1)
	}
	p.view.movements = p.view.movements[:0]
	p.holds = append(p.holds, hold{r, w.reserve.ReservationTTL()})
	p.rows.add(&w.hashes, r, w.reserve.ReservationTTL())
	return true
}

// begun tells whether memory still is of the history and the directory that the
// plan was begun on: these are what the database compares.
func (p *Plan) begun(m *memory) bool {
	if p.view.epoch == "" {
		p.view.epoch, p.view.directory = m.epoch, m.directory
	}
	return p.view.epoch == m.epoch && p.view.directory == m.directory
}

// know brings what a hold needs from memory into the plan's view; false, and
// nothing is taken over, where a product is missing. Callers hold the memory's lock.
func (p *Plan) know(w models.Reserve) bool {
	m := p.d.memory
	several, contested := p.several, p.contested
	for _, line := range w.Lines {
		known := p.products[line.ProductID]
		if known == nil {
			known = m.products[line.ProductID]
		}
		if known == nil || known.wrong && p.products[line.ProductID] == nil {
			return false
		}
		several, contested = several || !known.alone(), contested || m.isContested(line.ProductID)
	}
	if several && contested { // it would have to go by versions that others are about to change
		return false
	}
	p.several, p.contested = several, contested
	if w.Channel != "" {
		known := m.channels[w.Channel]
		if known == nil {
			return false
		}
		p.view.channels[w.Channel] = known
	}
	for _, line := range w.Lines {
		if line.LocationID != "" {
			location, known := m.locations[line.LocationID]
			if !known {
				return false
			}
			p.view.locations[line.LocationID] = location
		}
		if p.products[line.ProductID] != nil {
			continue
		}
		known := m.products[line.ProductID]
		p.products[line.ProductID] = known
		p.view.products[line.ProductID] = &known.product
		p.view.levels[line.ProductID] = known.levels
	}
	return true
}

// Close takes no more holds, and notes what the plan leaves behind: the next
// one may be decided on that from now on.
func (p *Plan) Close() {
	m := p.d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range p.view.dirtyLevels(false) { // copied: the next plan goes on changing them
		p.levels = append(p.levels, heldLevel{*l, p.movements.taken(levelID{l.ProductID, l.LocationID})})
	}
	p.stocks = p.view.committed()
	touched, overtaken := p.view.touchedSet(), p.overtaken()
	for _, id := range sortedKeys(p.products) {
		known := p.products[id]
		p.mistaken = p.mistaken || known.wrong
		p.contested = p.contested || m.isContested(id)
		p.expected = append(p.expected, expected{id, known.product.Version, known.shape, touched[id]})
		if touched[id] {
			known.product.Version++
		}
	}
	p.byStock = p.contested && !p.several
	p.mistaken = p.mistaken || overtaken && !p.byStock
}

// ByStock tells whether a closed plan goes by stock: others change its products too.
func (p *Plan) ByStock() bool { return p.byStock }

// overtaken tells that the plan before this one found that others had changed some
// product. Its levels are right by now; of what was decided before that, the
// movements still say what was thought to be there, which a plan by stock does not
// use.
func (p *Plan) overtaken() bool {
	return slices.ContainsFunc(p.movements.order, func(l *levelMovements) bool {
		return l.version != p.products[l.product].product.Version+1
	})
}

// level is the one level of a product that a closed plan takes of.
func (p *Plan) level(product string) *heldLevel {
	i, _ := slices.BinarySearchFunc(p.levels, product, func(l heldLevel, id string) int { return cmp.Compare(l.ProductID, id) })
	return &p.levels[i]
}

// Drop takes back what the plan left behind: what is remembered of its products
// is no longer true, but for the versions they had.
func (p *Plan) Drop() {
	m := p.d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range p.products {
		known.wrong = true
	}
	for _, x := range p.expected {
		known := p.products[x.id]
		known.product.Version = min(known.product.Version, x.version)
	}
}

// release leaves the rows of a plan that was carried out to another: they are most
// of what a hold takes up.
func (p *Plan) release() {
	if p.rows.reset() {
		p.d.memory.spare.Store(p.rows)
	}
	p.rows = nil
}

// Commit carries the plan out. On an error nothing is known to have happened;
// the same holds may be decided the ordinary way.
func (p *Plan) Commit(ctx context.Context) (models.Outcome, error) {
	if p.mistaken {
		return models.Outcome{}, ErrRefused // found out before it was sent
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.d.bounds.write)
	defer cancel()
	c, err := p.d.engine.(*postgresEngine).commitPlan(ctx, p, p.d.bounds.lockWait)
	if planRefused(err) {
		return models.Outcome{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return models.Outcome{}, p.d.fault(err)
	}
	p.d.memory.agreed(p, c.found)
	p.release()
	out := models.Outcome{Results: make([]models.WriteResult, len(p.holds)), Stocks: p.stocks}
	for i, h := range p.holds {
		h.reservation.CreatedAt, h.reservation.ServerTime, h.reservation.ExpiresAt = c.held, c.moved, c.held.Add(h.ttl)
		out.Results[i] = models.WriteResult{Reservation: h.reservation}
	}
	for _, s := range out.Stocks {
		s.AsOf = c.moved
	}
	for _, f := range c.found {
		i, _ := slices.BinarySearchFunc(out.Stocks, f.product, func(s *models.Stock, id string) int { return cmp.Compare(s.ProductID, id) })
		out.Stocks[i].Version, out.Stocks[i].Levels[0].Quantities = f.version, f.Quantities
	}
	return out, nil
}
