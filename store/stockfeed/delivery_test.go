package stockfeed

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
	"onhand/models/stockbinary"
)

// seenWatch is a watch and what it has delivered.
type seenWatch struct {
	*StockWatch
	versions map[string]int64 // the last, by product and epoch
	latest   map[string]*models.Stock
}

// deliveryModel is the state of TestVersionsStrictlyIncrease: a hub without
// Redis, the database, and the watches.
type deliveryModel struct {
	db      *fakeDatabase
	hub     *Hub
	epoch   int // the database's
	watches []*seenWatch
	// mixed is true once values of several epochs differ. A value may then be
	// delivered again after one of another epoch.
	mixed bool
}

var modelProducts = []string{"a", "b"}

func epochName(n int) string { return fmt.Sprint("e", n) }

func newDeliveryModel() *deliveryModel {
	m := &deliveryModel{db: newFakeDatabase(), epoch: 1}
	cfg := hubConfig(m.db)
	cfg.Epochs = epochFunc(func() string { return epochName(m.epoch) })
	m.hub = NewHub(cfg) // not started: there is no Redis
	for _, id := range modelProducts {
		m.db.put(stockAt(id, epochName(m.epoch), 1))
	}
	return m
}

// change commits a new version. Its message arrives, or is lost.
func (m *deliveryModel) change(t *rapid.T) {
	before := m.db.stocks[rapid.SampledFrom(modelProducts).Draw(t, "product")]
	s := m.db.put(stockAt(before.ProductID, before.Epoch, before.Version+1))
	if rapid.Bool().Draw(t, "arrives") {
		m.hub.Deliver([]*models.Stock{s})
	} else {
		m.hub.stocks.refresher.add(s.ProductID) // as after a reconnect
	}
}

// restore begins an epoch: with other versions, or with the same ones where only
// Redis was replaced.
func (m *deliveryModel) restore(t *rapid.T) {
	if m.epoch >= 4 {
		return
	}
	redisOnly := rapid.Bool().Draw(t, "redis only")
	m.mixed = m.mixed || !redisOnly
	for _, id := range modelProducts {
		version := m.db.stocks[id].Version
		if !redisOnly {
			version = rapid.Int64Range(1, 9).Draw(t, "version")
		}
		m.db.put(stockAt(id, epochName(m.epoch+1), version))
	}
	m.epoch++
	m.hub.Refresh()
}

// lateMessage delivers an old version, or one of another epoch.
func (m *deliveryModel) lateMessage(t *rapid.T) {
	id, n := rapid.SampledFrom(modelProducts).Draw(t, "product"), rapid.IntRange(1, 5).Draw(t, "epoch")
	version := rapid.Int64Range(1, 99).Draw(t, "version")
	m.mixed = m.mixed || n != m.epoch
	if n == m.epoch {
		version = min(version, m.db.stocks[id].Version)
	}
	s := stockAt(id, epochName(n), version)
	if rapid.Bool().Draw(t, "committed here") {
		m.hub.Deliver([]*models.Stock{s})
	} else {
		m.hub.message(channelOf(s.ProductID), string(stockbinary.Encode(s).Message()), false)
	}
}

// refresh does what the hub's refresher does.
func (m *deliveryModel) refresh(t *rapid.T) {
	if ids := m.hub.stocks.refresher.takePending(); len(ids) > 0 {
		require.NoError(t, m.hub.readStocks(context.Background(), ids))
	}
}

func (m *deliveryModel) watch(t *rapid.T) {
	w, err := m.hub.WatchStock(context.Background(), modelProducts)
	require.NoError(t, err)
	m.watches = append(m.watches, &seenWatch{w, map[string]int64{}, map[string]*models.Stock{}})
}

func (m *deliveryModel) closeOldest(*rapid.T) {
	if len(m.watches) > 3 {
		m.watches[0].Close()
		m.watches = m.watches[1:]
	}
}

func (m *deliveryModel) readSome(t *rapid.T) {
	if len(m.watches) > 0 {
		m.next(t, rapid.SampledFrom(m.watches).Draw(t, "watch"))
	}
}

// next takes one value of a watch and checks it. It returns false if there is
// none.
func (m *deliveryModel) next(t *rapid.T, w *seenWatch) bool {
	s, err := w.watcher.queue.tryTake()
	require.NoError(t, err)
	if s == nil {
		return false
	}
	key := s.ProductID + "/" + s.Epoch
	require.Greater(t, s.Version, w.versions[key], key)
	w.versions[key] = s.Version
	latest := w.latest[s.ProductID]
	require.False(t, !m.mixed && latest != nil && stockKind{}.identical(latest, s), "delivered twice")
	w.latest[s.ProductID] = s
	return true
}

// TestVersionsStrictlyIncrease delivers stocks at random: repeated and out of
// order, of the database's epoch and of others, as messages, deliveries and
// reads. Watches begin, end and are read at random. The database, or only Redis,
// is replaced now and then.
//
// Within an epoch the versions of every watch strictly increase, and across
// epochs where only Redis was replaced. In the end every watch has what the
// database has.
func TestVersionsStrictlyIncrease(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newDeliveryModel()
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {}, "change": m.change, "restore": m.restore, "late message": m.lateMessage,
			"refresh": m.refresh, "watch": m.watch, "read": m.readSome, "close": m.closeOldest,
		})
		m.refresh(t)
		for _, w := range m.watches {
			for m.next(t, w) {
			}
			for _, id := range modelProducts {
				require.True(t, stockKind{}.identical(m.db.stocks[id], w.latest[id]), "%s: %+v", id, w.latest[id])
			}
		}
		m.hub.Stop()
	})
}

// TestNewestArrivesInOneEpoch: in whatever order versions arrive, the last one
// that the watch returns is the highest.
func TestNewestArrivesInOneEpoch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := NewHub(hubConfig(newFakeDatabase()))
		defer h.Stop()
		w, err := h.WatchStock(context.Background(), []string{"a"})
		require.NoError(t, err)
		var highest, last int64
		for _, v := range rapid.SliceOfN(rapid.Int64Range(1, 50), 1, 60).Draw(t, "versions") {
			h.message(channelOf("a"), string(stockbinary.Encode(stockAt("a", epoch, v)).Message()), false)
			highest = max(highest, v)
			if rapid.Bool().Draw(t, "reads") {
				if s, _ := w.watcher.queue.tryTake(); s != nil {
					require.Greater(t, s.Version, last)
					last = s.Version
				}
			}
		}
		if s, _ := w.watcher.queue.tryTake(); s != nil {
			last = s.Version
		}
		require.Equal(t, highest, last)
	})
}

// TestLateMessagesOfAnEarlierEpoch: the database was restored. Messages of the
// earlier epoch cause at most a refresh.
func TestLateMessagesOfAnEarlierEpoch(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	db.put(stockAt("a", "old", 900))
	current := "old"
	cfg := hubConfig(db)
	cfg.Epochs = epochFunc(func() string { return current })
	h := NewHub(cfg)
	defer h.Stop()
	w := watch(t, h, "a")
	require.EqualValues(t, 900, nextVersion(t, w))

	// The first message of the new epoch arrives before the epoch check.
	db.put(stockAt("a", "new", 5))
	h.message(channelOf("a"), string(stockbinary.Encode(db.stocks["a"]).Message()), false)
	require.Equal(t, []string{"a"}, h.stocks.refresher.takePending())
	current = "new"
	for _, c := range []struct {
		epoch    string
		version  int64
		accepted bool
	}{
		{"old", 901, true}, // the topic has no value of the new epoch yet
		{"new", 5, true},
		{"old", 902, false}, // the highest version of the earlier epoch
		{"older", 7, false},
		{"new", 5, false},
		{"new", 6, true},
	} {
		h.message(channelOf("a"), string(stockbinary.Encode(stockAt("a", c.epoch, c.version)).Message()), false)
		s, err := w.watcher.queue.tryTake()
		require.NoError(t, err)
		require.Equal(t, c.accepted, s != nil, "%+v", c)
		if c.epoch != current {
			require.Equal(t, []string{"a"}, h.stocks.refresher.takePending(), "%+v", c)
		}
	}
	require.Empty(t, h.stocks.refresher.takePending())
}

// TestReadsOfAnotherEpochAreRetriedWithBackoff: while the database answers in
// another epoch than this instance knows, stock is read again, with a wait
// between reads.
func TestReadsOfAnotherEpochAreRetriedWithBackoff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		db.put(stockAt("a", "new", 1))
		var current atomic.Value
		current.Store("old")
		cfg := hubConfig(db)
		cfg.Epochs = epochFunc(func() string { return current.Load().(string) })
		h := startHubAt(t, refused(t), cfg)
		w := watch(t, h, "a")
		require.EqualValues(t, 1, nextVersion(t, w), "the only value there is")
		start, calls := time.Now(), db.calls.Load()
		awaitInBubble(t, func() bool { return db.calls.Load() >= calls+3 })
		// Three reads have two waits between them. The second is twice the first, and
		// jitter shortens each by half at most.
		require.GreaterOrEqual(t, time.Since(start), (refreshRetryMin+2*refreshRetryMin)/2)
		db.put(stockAt("a", "newer", 2))
		current.Store("newer")
		next, err := w.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "newer", next.Epoch)
	})
}

// TestNewWatchesGetNothingOfAnEarlierEpoch: the topic has the value of a product
// that the restored database does not have.
func TestNewWatchesGetNothingOfAnEarlierEpoch(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	db.put(stockAt("a", "old", 900))
	current := "old"
	cfg := hubConfig(db)
	cfg.Epochs = epochFunc(func() string { return current })
	h := NewHub(cfg)
	defer h.Stop()
	first := watch(t, h, "a")
	require.EqualValues(t, 900, nextVersion(t, first))
	first.Close()
	delete(db.stocks, "a")
	current = "new"
	second := watch(t, h, "a")
	requireEmpty(t, second)
	db.put(stockAt("a", "new", 1))
	h.Deliver([]*models.Stock{db.stocks["a"]})
	require.EqualValues(t, 1, nextVersion(t, second))
}
