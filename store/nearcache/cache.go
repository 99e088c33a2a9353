package nearcache

import (
	"context"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"onhand/models"
)

const (
	// freshMax is how long ago the last answered ping may have been sent. With the time
	// that an answer needs to leave, a value is at most a second older than Redis.
	freshMax = 750 * time.Millisecond
	// entryAgeMax is how long after its read an entry is read again, less up to a tenth.
	// It bounds what a change costs whose message Redis never sent.
	entryAgeMax = time.Minute
	// fullFills is one in how many values that were read enters a full cache. To make an
	// entry and to evict one costs more than to read one. What is read often enters soon.
	fullFills = 4
	// stripesMax is how many locks and counts of changes there are. Products share
	// them: a change of one then also refuses a value of the other, which is read again
	// with the next request.
	stripesMax = 1024
)

// SharedReader reads stock past the near cache.
type SharedReader interface {
	// Stocks returns stocks in the order of ids, nil for unknown products. What it reads
	// from Redis has the source models.FromCache, and is read after the call.
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
	// Bypass has products read from the database for a while, BypassAll all products.
	Bypass(ids []string)
	BypassAll(duration time.Duration)
}

// EpochKnower knows the epoch that the database is in; empty when unknown.
type EpochKnower interface{ Epoch() string }

// NearCacheConfig configures a NearCache.
type NearCacheConfig struct {
	// Bytes bounds the memory of the entries. 0 switches the near cache off: every read
	// goes to Shared.
	Bytes  int64
	Shared SharedReader
	Epochs EpochKnower
	// Client makes the feed's connections. Redis may be down.
	Client redis.UniversalClient
	// StockChannel names the Redis channel of a product's changes.
	StockChannel func(productID string) string
	// OnChange, unless nil, is called with each product that has changed. It must not
	// block.
	OnChange func(productID string)
	Logger   *slog.Logger

	clock func() instant // of tests; nil for the clocks of the machine
}

// NearCache is the near cache of this instance. It is safe for concurrent use.
type NearCache struct {
	shared SharedReader
	epochs EpochKnower
	clock  func() instant

	entries    *otter.Cache[string, *nearEntry] // nil: off
	generation atomic.Pointer[generation]       // nil while the feed is not confirmed
	feed       *changeFeed
	onChange   func(productID string)
	seed       maphash.Seed
	stripes    [stripesMax]stripe
	full       atomic.Bool // since the last reset an entry was evicted
	counters   nearCounters

	stop    context.CancelFunc // nil before Start
	running sync.WaitGroup
}

// generation is what entries that may be served have in common.
type generation struct{ epoch string }

// stripe counts the changes of some products. Its lock makes the check of a ticket
// and the insertion one step.
type stripe struct {
	mu      sync.Mutex
	changes uint64
	_       [48]byte // so that stripes do not share a cache line
}

// NewNearCache makes a near cache. Until Start it serves nothing.
func NewNearCache(config NearCacheConfig) *NearCache {
	if config.clock == nil {
		config.clock = machineClock()
	}
	c := &NearCache{shared: config.Shared, epochs: config.Epochs, clock: config.clock, onChange: config.OnChange, seed: maphash.MakeSeed()}
	if config.Bytes <= 0 {
		return c
	}
	c.entries = otter.Must(&otter.Options[string, *nearEntry]{
		MaximumWeight: uint64(config.Bytes),
		Weigher:       func(_ string, e *nearEntry) uint32 { return e.weight },
		OnAtomicDeletion: func(e otter.DeletionEvent[string, *nearEntry]) {
			if e.WasEvicted() {
				if !c.full.Load() {
					c.full.Store(true)
				}
				c.counters.drops[dropEvicted].Add(1)
			}
		},
	})
	c.feed = newChangeFeed(config, c)
	return c
}

// Start follows the changes of stock until Stop.
func (c *NearCache) Start(ctx context.Context) {
	if c.entries == nil {
		return
	}
	ctx, c.stop = context.WithCancel(ctx)
	c.running.Go(func() { c.feed.run(ctx) })
}

// Stop ends the feed and waits for it. Reads go on, to the shared reader.
func (c *NearCache) Stop() {
	if c.stop != nil {
		c.stop()
	}
	c.running.Wait()
}

// Stocks reads products: values in the order of ids, nil for unknown products. Callers
// share the stocks and must not change them.
//
// Errors: those of the shared reader, also beside stocks.
func (c *NearCache) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	current := c.current()
	if current == nil {
		return c.shared.Stocks(ctx, ids)
	}
	now := c.clock()
	if !c.feed.fresh(now) {
		c.counters.misses.Add(int64(len(ids)))
		return c.readShared(ctx, current, ids)
	}
	stocks := make([]*models.Stock, len(ids))
	hits := 0
	for i, id := range ids {
		if e, ok := c.entries.GetIfPresent(id); ok && e.usable(current, now) {
			stocks[i] = e.stock.Load()
			hits++
		}
	}
	c.counters.hits.Add(int64(hits))
	if hits == len(ids) {
		return stocks, nil
	}
	c.counters.misses.Add(int64(len(ids) - hits))
	if hits == 0 {
		return c.readShared(ctx, current, ids)
	}
	return c.readMisses(ctx, current, ids, stocks)
}

// readMisses completes stocks, which has nil for what was not here.
func (c *NearCache) readMisses(ctx context.Context, current *generation, ids []string, stocks []*models.Stock) ([]*models.Stock, error) {
	var misses []string
	var at []int // of each miss in ids
	for i, stock := range stocks {
		if stock == nil {
			misses, at = append(misses, ids[i]), append(at, i)
		}
	}
	read, err := c.readShared(ctx, current, misses)
	if len(read) != len(misses) {
		return nil, err
	}
	for i, stock := range read {
		stocks[at[i]] = stock
	}
	return stocks, err
}

// Shared reads one product past the near cache; nil when it is unknown. Errors are
// those of Stocks.
func (c *NearCache) Shared(ctx context.Context, id string) (*models.Stock, error) {
	found, err := c.readShared(ctx, c.current(), []string{id})
	if len(found) == 0 {
		return nil, err
	}
	return found[0], err
}

// current returns the generation whose entries may be served; nil for none. The first
// read of another epoch ends the generation.
func (c *NearCache) current() *generation {
	current := c.generation.Load()
	if current != nil && current.epoch != c.epochs.Epoch() {
		c.renew(current, dropEpoch)
		return nil
	}
	return current
}

// jitteredAge is how old an entry may become.
func jitteredAge() time.Duration {
	return entryAgeMax - time.Duration(rand.Int64N(int64(entryAgeMax/10)))
}
