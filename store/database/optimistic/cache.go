package optimistic

import (
	"maps"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
)

// Bounds of what is remembered.
const (
	// rememberedMax is how many products are remembered with their levels;
	// rememberedLevelsMax, how many levels one of them may have.
	CachedProductsMax = 20_000
	cachedLevelsMax   = 64
	// recentMax is how many keys are known to have been used lately, at least.
	recentKeysMax = 1 << 16
	// contestedFor is for how long plans go by stock, or are not made where a
	// product has several levels, after somebody else was found to have changed
	// it: another copy is likely to do so again. It doubles each time, up to
	// contestedMax, and shrinks with every plan that was right.
	ContendedFor    = 250 * time.Millisecond
	contendedForMax = 4 * time.Second
)

// memory is what this process knows of the products that its last writes had
// locked, or that were fetched: their state as of a version. It is never believed by
// itself: who decides on it has the database check the versions, or the shapes and
// the stock.
type Cache struct {
	ContendedFor time.Duration // the constant, but for tests
	Mu           sync.Mutex
	Epoch        string
	directory    int64 // the version of the locations and channels remembered
	Products     map[string]*CachedProduct
	locations    map[string]models.Location
	channels     map[string]*decide.ChannelMembers
	contended    map[string]*contention
	// recent are the reservations that were made here, in two generations.
	recentKeys, olderKeys map[[16]byte]struct{}
}

// remembered is a product and all its levels, in sourcing order.
type CachedProduct struct {
	Product          models.Product
	settingsRevision int64 // see shapedProduct
	Levels           []*models.Level
	// wrong: nothing is decided on this. It counts on what did not happen, or
	// others change the product too and it has several levels, or too many. The
	// version is the one that was last known, so that the next change by others is
	// noticed.
	stale bool
}

// alone tells that the product has one level: whatever others take or bring
// meanwhile, units come from there as long as there are enough.
func (r *CachedProduct) singleLevel() bool { return r.Product.Tracked && len(r.Levels) == 1 }

// contest is what is known of a product that others change too.
type contention struct {
	times int       // how often the next one is doubled
	until time.Time // by this process's clock
}

func newCache() *Cache {
	return &Cache{
		ContendedFor: ContendedFor,
		Products:     map[string]*CachedProduct{}, contended: map[string]*contention{},
		locations: map[string]models.Location{}, channels: map[string]*decide.ChannelMembers{},
		recentKeys: map[[16]byte]struct{}{}, olderKeys: map[[16]byte]struct{}{},
	}
}

// learn keeps what a transaction had locked and has committed.
func (e *Executor) Learn(v *decide.UnitOfWork) {
	if e == nil {
		return
	}
	m := e.Cache
	m.Mu.Lock()
	defer m.Mu.Unlock()
	m.put(v)
}

// take takes over what a view knows. Callers hold mu.
func (m *Cache) put(v *decide.UnitOfWork) {
	if len(v.Settings.Products)+len(v.Settings.Locations)+len(v.Settings.Channels) > 0 {
		return // what was loaded is not what is there now
	}
	if m.Epoch != v.Epoch {
		m.Epoch = v.Epoch
		clear(m.Products)
	}
	if m.directory != v.Directory {
		m.directory = v.Directory
		clear(m.locations)
		clear(m.channels)
	}
	maps.Copy(m.locations, v.Locations)
	maps.Copy(m.channels, v.Channels)
	touched := v.ChangedProductSet()
	reshaped := map[string]bool{} // new levels are made by one statement, which the trigger counts as one change of each product
	for id := range v.CreatedLevels {
		reshaped[id.Product] = true
	}
	for id, product := range v.Products {
		known := &CachedProduct{Product: *product, settingsRevision: v.SettingsRevisions[id], Levels: v.Levels[id]}
		if reshaped[id] {
			known.settingsRevision++
		}
		if touched[id] {
			known.Product.Version++
		}
		if old := m.Products[id]; old != nil {
			if !old.stale && old.Product.Version > known.Product.Version {
				// Somebody was faster to tell, or the database went back, where
				// the version may soon be another state's. A plan by stock finds
				// out which; one by version cannot.
				if old.stale = !old.singleLevel(); !old.stale {
					m.noteContention(id)
				}
				continue
			}
			if old.Product.Version != product.Version {
				m.noteContention(id)
			}
		}
		if m.isContended(id) && !known.singleLevel() || len(known.Levels) > cachedLevelsMax {
			known.stale = true
		}
		m.evict()
		m.Products[id] = known
	}
}

// fetched keeps what was read without a lock of products that nothing is known of.
func (m *Cache) addFetched(v *decide.UnitOfWork) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	if m.Epoch == v.Epoch && m.directory > v.Directory {
		return // overtaken: a later fetch, or an ordinary write, tells
	}
	maps.DeleteFunc(v.Products, func(id string, _ *models.Product) bool { return m.Products[id] != nil })
	m.put(v)
}

// room makes room for one more product, forgetting some, whichever.
func (m *Cache) evict() {
	for id := range m.Products {
		if len(m.Products) < CachedProductsMax {
			return
		}
		delete(m.Products, id)
	}
}

func (m *Cache) isContended(id string) bool {
	c := m.contended[id]
	return c != nil && time.Now().Before(c.until)
}

// willChange has plans of these products go by stock for a moment: something
// beside them is about to change what is there. Those of several levels go on by
// version, and are refused if they come second.
func (e *Executor) ExpectContention(products []string) {
	if e == nil {
		return
	}
	m := e.Cache
	m.Mu.Lock()
	defer m.Mu.Unlock()
	until := time.Now().Add(m.ContendedFor)
	for _, id := range products {
		if known := m.Products[id]; known == nil || !known.singleLevel() {
			continue
		}
		if c := m.contentionOf(id); c.until.Before(until) {
			c.until = until
		}
	}
}

// contestOf is what is known of a product that others change, new where it is
// nothing.
func (m *Cache) contentionOf(id string) *contention {
	c := m.contended[id]
	if c == nil {
		for other := range m.contended {
			if len(m.contended) < CachedProductsMax {
				break
			}
			delete(m.contended, other)
		}
		c = new(contention)
		m.contended[id] = c
	}
	return c
}

// contest notes that somebody else changed a product.
func (m *Cache) noteContention(id string) {
	c := m.contentionOf(id)
	if until := time.Now().Add(min(ContendedFor<<c.times, contendedForMax)); c.until.Before(until) {
		c.until = until
	}
	if ContendedFor<<c.times < contendedForMax {
		c.times++
	}
}

// agreed notes that a plan was carried out; found is what others had made of its
// products meanwhile. Where it was all as planned, they are less contested the next
// time, but for as long as they are now: a sweep that was announced (willChange) may
// still wait for this plan's locks.
func (m *Cache) committed(p *Batch, found []FoundLevel) {
	m.Mu.Lock()
	defer m.Mu.Unlock()
	for i := range found { // as a difference: the next plan may have taken of them already
		known, planned := p.Products[found[i].Product], p.level(found[i].Product)
		known.Levels[0].Quantities = known.Levels[0].Plus(found[i].Minus(planned.Quantities))
		known.Product.Version = found[i].Version
		m.noteContention(found[i].Product)
	}
	if len(found) > 0 || len(m.contended) == 0 {
		return
	}
	for id := range p.Products {
		if c := m.contended[id]; c != nil && c.times > 0 {
			c.times--
		} else if c != nil && !m.isContended(id) {
			delete(m.contended, id)
		}
	}
}

// used notes a reservation made here, and tells whether it was known before.
func (m *Cache) recordKey(key [16]byte) (before bool) {
	if _, before = m.recentKeys[key]; before {
		return true
	}
	if _, before = m.olderKeys[key]; before {
		return true
	}
	if len(m.recentKeys) >= recentKeysMax {
		m.recentKeys, m.olderKeys = map[[16]byte]struct{}{}, m.recentKeys
	}
	m.recentKeys[key] = struct{}{}
	return false
}
