package nearcache

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/models"
	"onhand/models/stockbinary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// fakeEpochs is the epoch as a test sets it.
type fakeEpochs struct {
	mu    sync.Mutex
	epoch string
}

func (f *fakeEpochs) Epoch() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch
}

func (f *fakeEpochs) set(epoch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch = epoch
}

// fakeShared is a shared reader with the stocks of a map. It runs during after it has
// read, before it answers.
type fakeShared struct {
	mu       sync.Mutex
	stocks   map[string]*models.Stock
	err      error
	asked    [][]string
	bypassed []string
	during   func()
}

func (f *fakeShared) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	f.mu.Lock()
	f.asked = append(f.asked, ids)
	found := make([]*models.Stock, len(ids))
	for i, id := range ids {
		found[i] = f.stocks[id]
	}
	err, during := f.err, f.during
	f.mu.Unlock()
	if during != nil {
		during()
	}
	return found, err
}

func (f *fakeShared) Bypass(ids []string)     { f.bypassed = append(f.bypassed, ids...) }
func (f *fakeShared) BypassAll(time.Duration) { f.bypassed = append(f.bypassed, "*") }

func (f *fakeShared) put(stocks ...*models.Stock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range stocks {
		f.stocks[s.ProductID] = s
	}
}

// stockAt is a product in epoch "e" at a version; its quantity is the version.
func stockAt(id string, version int64) *models.Stock {
	return &models.Stock{
		Product: models.Product{ProductID: id, Tracked: true, InventoryPolicy: models.Deny, Version: version},
		Levels:  []models.Level{{ProductID: id, LocationID: "berlin", Active: true, Quantities: models.Quantities{Available: int(version)}}},
		Epoch:   "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Source: models.FromCache,
	}
}

// bench is a near cache whose feed and clocks a test plays.
type bench struct {
	*NearCache
	shared *fakeShared
	epochs *fakeEpochs
	now    instant
	t      require.TestingT
}

// newBench makes a near cache with an open feed that has just answered.
func newBench(t require.TestingT) *bench {
	b := &bench{shared: &fakeShared{stocks: map[string]*models.Stock{}}, epochs: &fakeEpochs{epoch: "e"}, t: t}
	b.now = instant{int64(time.Hour), int64(time.Hour)}
	b.NearCache = NewNearCache(NearCacheConfig{
		Bytes: 1 << 20, Shared: b.shared, Epochs: b.epochs, StockChannel: func(id string) string { return "inventory_change:" + id },
		clock: func() instant { return b.now },
	})
	b.open()
	return b
}

// open opens the feed and answers a ping.
func (b *bench) open() {
	b.feed.sessions.Store(&[]*feedSession{{feed: b.feed}})
	b.opened()
	b.pong(b.now)
}

// pong answers a ping that was sent at a moment.
func (b *bench) pong(sent instant) { (*b.feed.sessions.Load())[0].answered.Store(&sent) }

// pass lets time pass on both clocks.
func (b *bench) pass(d time.Duration) {
	b.now.monotonic += int64(d)
	b.now.wall += int64(d)
}

// read reads one product.
func (b *bench) read(id string) *models.Stock {
	stocks, err := b.Stocks(context.Background(), []string{id})
	require.NoError(b.t, err)
	require.Len(b.t, stocks, 1)
	return stocks[0]
}

// expect reads one product and checks its version and source.
func (b *bench) expect(id string, version int64, source models.ReadSource) {
	stock := b.read(id)
	require.NotNil(b.t, stock)
	require.Equal(b.t, version, stock.Version)
	require.Equal(b.t, source, stock.Source)
}

// encoded is the message of a stock.
func encoded(s *models.Stock) string { return string(stockbinary.Encode(s).Message()) }

// publish delivers the message of a stock.
func (b *bench) publish(s *models.Stock) { b.message(s.ProductID, encoded(s)) }
