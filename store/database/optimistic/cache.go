package optimistic

import (
	"maps"
	"sync"

	"onhand/models"
	"onhand/store/database/decide"
)

// Bounds of the snapshot cache.
const (
	// CachedProductsMax is how many products are cached with their levels.
	CachedProductsMax = 20_000
	// cachedLevelsMax is how many levels a cached product may have.
	cachedLevelsMax = 64
	// recentKeysMax is how many recently used keys are known, at least.
	recentKeysMax = 1 << 16
)

// cache is the snapshot cache: the products that recent writes had locked, or that
// were fetched, each as of a version.
type cache struct {
	mu        sync.Mutex
	epoch     string
	directory int64 // the version of the cached locations and channels
	products  map[string]*cachedProduct
	locations map[string]models.Location
	channels  map[string]*models.ChannelMembers
	contended map[string]*contention
	// The keys of the reservations that were created here, in two generations.
	recentKeys, olderKeys map[[16]byte]struct{}
}

// cachedProduct is a product with all its levels, in sourcing order.
type cachedProduct struct {
	product          models.Product
	settingsRevision int64
	levels           []*models.Level
	// stale: no reservation may be decided on this product. It has changes that did not
	// happen; or another instance changes it too and it has several levels, or too
	// many. Its version is the last known one, so that the next change by another
	// instance is noticed.
	stale bool
}

// singleLevel reports whether the product is tracked with one level. Whatever another
// instance takes or adds meanwhile, units come from there as long as there are enough.
func (p *cachedProduct) singleLevel() bool { return p.product.Tracked && len(p.levels) == 1 }

func newCache() *cache {
	return &cache{
		products: map[string]*cachedProduct{}, contended: map[string]*contention{},
		locations: map[string]models.Location{}, channels: map[string]*models.ChannelMembers{},
		recentKeys: map[[16]byte]struct{}{}, olderKeys: map[[16]byte]struct{}{},
	}
}

// put takes over the products, locations and channels of a unit of work. Callers hold
// mu.
func (c *cache) put(u *decide.UnitOfWork) {
	if u.Settings.Any() {
		return // what was loaded is not what is there now
	}
	if c.epoch != u.Epoch {
		c.epoch = u.Epoch
		clear(c.products)
	}
	if c.directory != u.Directory {
		c.directory = u.Directory
		clear(c.locations)
		clear(c.channels)
	}
	maps.Copy(c.locations, u.Locations)
	maps.Copy(c.channels, u.Channels)
	changed := u.ChangedProductSet()
	revised := map[string]bool{} // one statement creates all levels, which the trigger counts as one change of each product
	for id := range u.CreatedLevels {
		revised[id.Product] = true
	}
	for id, product := range u.Products {
		p := &cachedProduct{product: *product, settingsRevision: u.SettingsRevisions[id], levels: u.Levels[id]}
		if revised[id] {
			p.settingsRevision++
		}
		if changed[id] {
			p.product.Version++
		}
		c.putProduct(id, p, product.Version)
	}
}

// putProduct takes over one product, which the transaction loaded at version loaded.
func (c *cache) putProduct(id string, p *cachedProduct, loaded int64) {
	if old := c.products[id]; old != nil {
		if !old.stale && old.product.Version > p.product.Version {
			// Either a newer result was recorded first, or the database was restored from
			// a backup, where the version may soon be another state's. A conditional batch
			// finds out which; compare-and-set cannot.
			if old.stale = !old.singleLevel(); !old.stale {
				c.noteContention(id)
			}
			return
		}
		if old.product.Version != loaded {
			c.noteContention(id)
		}
	}
	if c.isContended(id) && !p.singleLevel() || len(p.levels) > cachedLevelsMax {
		p.stale = true
	}
	c.evict()
	c.products[id] = p
}

// addFetched takes over what was read without a lock, for products that are missing.
func (c *cache) addFetched(u *decide.UnitOfWork) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == u.Epoch && c.directory > u.Directory {
		return // a later fetch or write was faster
	}
	maps.DeleteFunc(u.Products, func(id string, _ *models.Product) bool { return c.products[id] != nil })
	c.put(u)
}

// evict makes room for one more product by dropping any.
func (c *cache) evict() {
	for id := range c.products {
		if len(c.products) < CachedProductsMax {
			return
		}
		delete(c.products, id)
	}
}

// committed notes that a batch committed. found has the levels that another instance
// had changed meanwhile. Where there are none, the products are contended less the
// next time, but for as long as they are now: an announced sweep may still wait for
// the locks of this batch.
func (c *cache) committed(b *ReservationBatch, found []FoundLevel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range found { // as a difference: the next batch may have taken from them already
		p, expected := b.products[found[i].Product], b.level(found[i].Product)
		p.levels[0].Quantities = p.levels[0].Plus(found[i].Minus(expected.Quantities))
		p.product.Version = found[i].Version
		c.noteContention(found[i].Product)
	}
	if len(found) == 0 && len(c.contended) > 0 {
		c.relax(b)
	}
}

// recordKey records the key of a reservation that is created here, and reports
// whether it was known before.
func (c *cache) recordKey(key [16]byte) (before bool) {
	if _, before = c.recentKeys[key]; before {
		return true
	}
	if _, before = c.olderKeys[key]; before {
		return true
	}
	if len(c.recentKeys) >= recentKeysMax {
		c.recentKeys, c.olderKeys = map[[16]byte]struct{}{}, c.recentKeys
	}
	c.recentKeys[key] = struct{}{}
	return false
}
