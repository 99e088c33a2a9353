package database

import (
	"maps"
	"sync"
	"time"

	"onhand/models"
)

// Bounds of what is remembered.
const (
	// rememberedMax is how many products are remembered with their levels;
	// rememberedLevelsMax, how many levels one of them may have.
	rememberedMax       = 20_000
	rememberedLevelsMax = 64
	// recentMax is how many keys are known to have been used lately, at least.
	recentMax = 1 << 16
	// contestedFor is for how long plans go by stock, or are not made where a
	// product has several levels, after somebody else was found to have changed
	// it: another copy is likely to do so again. It doubles each time, up to
	// contestedMax, and shrinks with every plan that was right.
	contestedFor = 250 * time.Millisecond
	contestedMax = 4 * time.Second
)

// memory is what this process knows of the products that its last writes had
// locked, or that were fetched: their state as of a version. It is never believed by
// itself: who decides on it has the database check the versions, or the shapes and
// the stock.
type memory struct {
	contestedFor time.Duration // the constant, but for tests
	mu           sync.Mutex
	epoch        string
	directory    int64 // the version of the locations and channels remembered
	products     map[string]*remembered
	locations    map[string]models.Location
	channels     map[string]*channel
	contested    map[string]*contest
	// recent are the reservations that were made here, in two generations.
	recent, older map[[16]byte]struct{}
}

// remembered is a product and all its levels, in sourcing order.
type remembered struct {
	product models.Product
	shape   int64 // see shapedProduct
	levels  []*models.Level
	// wrong: nothing is decided on this. It counts on what did not happen, or
	// others change the product too and it has several levels, or too many. The
	// version is the one that was last known, so that the next change by others is
	// noticed.
	wrong bool
}

// alone tells that the product has one level: whatever others take or bring
// meanwhile, units come from there as long as there are enough.
func (r *remembered) alone() bool { return r.product.Tracked && len(r.levels) == 1 }

// contest is what is known of a product that others change too.
type contest struct {
	times int       // how often the next one is doubled
	until time.Time // by this process's clock
}

func newMemory() *memory {
	return &memory{
		contestedFor: contestedFor,
		products:     map[string]*remembered{}, contested: map[string]*contest{},
		locations: map[string]models.Location{}, channels: map[string]*channel{},
		recent: map[[16]byte]struct{}{}, older: map[[16]byte]struct{}{},
	}
}

// learn keeps what a transaction had locked and has committed.
func (e *Executor) learn(v *view) {
	if e == nil {
		return
	}
	m := e.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.take(v)
}

// take takes over what a view knows. Callers hold mu.
func (m *memory) take(v *view) {
	if len(v.settings.products)+len(v.settings.locations)+len(v.settings.channels) > 0 {
		return // what was loaded is not what is there now
	}
	if m.epoch != v.epoch {
		m.epoch = v.epoch
		clear(m.products)
	}
	if m.directory != v.directory {
		m.directory = v.directory
		clear(m.locations)
		clear(m.channels)
	}
	maps.Copy(m.locations, v.locations)
	maps.Copy(m.channels, v.channels)
	touched := v.touchedSet()
	reshaped := map[string]bool{} // new levels are made by one statement, which the trigger counts as one change of each product
	for id := range v.created {
		reshaped[id.product] = true
	}
	for id, product := range v.products {
		known := &remembered{product: *product, shape: v.shapes[id], levels: v.levels[id]}
		if reshaped[id] {
			known.shape++
		}
		if touched[id] {
			known.product.Version++
		}
		if old := m.products[id]; old != nil {
			if !old.wrong && old.product.Version > known.product.Version {
				// Somebody was faster to tell, or the database went back, where
				// the version may soon be another state's. A plan by stock finds
				// out which; one by version cannot.
				if old.wrong = !old.alone(); !old.wrong {
					m.contest(id)
				}
				continue
			}
			if old.product.Version != product.Version {
				m.contest(id)
			}
		}
		if m.isContested(id) && !known.alone() || len(known.levels) > rememberedLevelsMax {
			known.wrong = true
		}
		m.room()
		m.products[id] = known
	}
}

// fetched keeps what was read without a lock of products that nothing is known of.
func (m *memory) fetched(v *view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == v.epoch && m.directory > v.directory {
		return // overtaken: a later fetch, or an ordinary write, tells
	}
	maps.DeleteFunc(v.products, func(id string, _ *models.Product) bool { return m.products[id] != nil })
	m.take(v)
}

// room makes room for one more product, forgetting some, whichever.
func (m *memory) room() {
	for id := range m.products {
		if len(m.products) < rememberedMax {
			return
		}
		delete(m.products, id)
	}
}

func (m *memory) isContested(id string) bool {
	c := m.contested[id]
	return c != nil && time.Now().Before(c.until)
}

// willChange has plans of these products go by stock for a moment: something
// beside them is about to change what is there. Those of several levels go on by
// version, and are refused if they come second.
func (e *Executor) willChange(products []string) {
	if e == nil {
		return
	}
	m := e.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	until := time.Now().Add(m.contestedFor)
	for _, id := range products {
		if known := m.products[id]; known == nil || !known.alone() {
			continue
		}
		if c := m.contestOf(id); c.until.Before(until) {
			c.until = until
		}
	}
}

// contestOf is what is known of a product that others change, new where it is
// nothing.
func (m *memory) contestOf(id string) *contest {
	c := m.contested[id]
	if c == nil {
		for other := range m.contested {
			if len(m.contested) < rememberedMax {
				break
			}
			delete(m.contested, other)
		}
		c = new(contest)
		m.contested[id] = c
	}
	return c
}

// contest notes that somebody else changed a product.
func (m *memory) contest(id string) {
	c := m.contestOf(id)
	if until := time.Now().Add(min(contestedFor<<c.times, contestedMax)); c.until.Before(until) {
		c.until = until
	}
	if contestedFor<<c.times < contestedMax {
		c.times++
	}
}

// agreed notes that a plan was carried out; found is what others had made of its
// products meanwhile. Where it was all as planned, they are less contested the next
// time, but for as long as they are now: a sweep that was announced (willChange) may
// still wait for this plan's locks.
func (m *memory) agreed(p *Plan, found []foundLevel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range found { // as a difference: the next plan may have taken of them already
		known, planned := p.products[found[i].product], p.level(found[i].product)
		known.levels[0].Quantities = known.levels[0].Plus(found[i].Minus(planned.Quantities))
		known.product.Version = found[i].version
		m.contest(found[i].product)
	}
	if len(found) > 0 || len(m.contested) == 0 {
		return
	}
	for id := range p.products {
		if c := m.contested[id]; c != nil && c.times > 0 {
			c.times--
		} else if c != nil && !m.isContested(id) {
			delete(m.contested, id)
		}
	}
}

// used notes a reservation made here, and tells whether it was known before.
func (m *memory) used(key [16]byte) (before bool) {
	if _, before = m.recent[key]; before {
		return true
	}
	if _, before = m.older[key]; before {
		return true
	}
	if len(m.recent) >= recentMax {
		m.recent, m.older = map[[16]byte]struct{}{}, m.recent
	}
	m.recent[key] = struct{}{}
	return false
}
