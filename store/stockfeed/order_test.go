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
	"onhand/models/stockjson"
	"onhand/store/storetest"
)

// TestVersionsStrictlyIncrease delivers stocks at random: repeated, out of
// order, of the database's epoch and of others, as messages, offers and reads,
// to watchers that come and go and read when they like, while the database, or
// Redis alone, is replaced now and then. Within a history every watcher's versions
// strictly increase, and over all of them where only Redis was replaced; and in
// the end everybody has what the database has.
func TestVersionsStrictlyIncrease(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		db := newShop()
		current := 1
		name := func(n int) string { return fmt.Sprint("e", n) }
		cfg := quick(db)
		cfg.Epochs = epochFunc(func() string { return name(current) })
		h := NewHub(cfg) // not started: there is no Redis in this
		products := []string{"a", "b"}
		stored := func(id string) *models.Stock { return db.stocks[id] }
		for _, id := range products {
			db.put(stockAt(id, name(current), 1))
		}
		type watcher struct {
			w    *StockWatch
			seen map[string]int64 // by product and epoch
			last map[string]*models.Stock
		}
		var watchers []*watcher
		muddled := false // a value may come back that was passed over
		next := func(w *watcher) bool {
			s, err := w.w.seat.box.pop()
			require.NoError(t, err)
			if s == nil {
				return false
			}
			key := s.ProductID + "/" + s.Epoch
			require.Greater(t, s.Version, w.seen[key], key)
			w.seen[key] = s.Version
			require.False(t, !muddled && w.last[s.ProductID] != nil && sameStock(w.last[s.ProductID], s), "told twice")
			w.last[s.ProductID] = s
			return true
		}
		reread := func() { // as the hub does in the background
			if ids := h.stocks.rereader.takeAll(); len(ids) > 0 {
				require.NoError(t, h.readStocks(context.Background(), ids))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"change": func(t *rapid.T) {
				old := stored(rapid.SampledFrom(products).Draw(t, "product"))
				s := db.put(stockAt(old.ProductID, old.Epoch, old.Version+1))
				if rapid.Bool().Draw(t, "heard") {
					h.Deliver([]*models.Stock{s})
				} else {
					h.stocks.rereader.add(s.ProductID) // as after any gap
				}
			},
			"restore": func(t *rapid.T) {
				if current < 4 {
					redisAlone := rapid.Bool().Draw(t, "redis alone")
					for _, id := range products {
						version := stored(id).Version
						if muddled = muddled || !redisAlone; !redisAlone {
							version = rapid.Int64Range(1, 9).Draw(t, "version")
						}
						db.put(stockAt(id, name(current+1), version))
					}
					current++
					h.Refresh()
				}
			},
			"late or foreign word": func(t *rapid.T) {
				id, n := rapid.SampledFrom(products).Draw(t, "product"), rapid.IntRange(1, 5).Draw(t, "epoch")
				version := rapid.Int64Range(1, 99).Draw(t, "version")
				muddled = muddled || n != current
				if n == current {
					version = min(version, stored(id).Version)
				}
				s := stockAt(id, name(n), version)
				if rapid.Bool().Draw(t, "offered") {
					h.Deliver([]*models.Stock{s})
				} else {
					h.message(channelOf(s.ProductID), string(stockjson.Encode(s)))
				}
			},
			"reread": func(*rapid.T) { reread() },
			"watch": func(t *rapid.T) {
				w, err := h.WatchStock(context.Background(), products)
				require.NoError(t, err)
				watchers = append(watchers, &watcher{w, map[string]int64{}, map[string]*models.Stock{}})
			},
			"read": func(t *rapid.T) {
				if len(watchers) > 0 {
					next(rapid.SampledFrom(watchers).Draw(t, "watcher"))
				}
			},
			"close": func(t *rapid.T) {
				if len(watchers) > 3 {
					watchers[0].w.Close()
					watchers = watchers[1:]
				}
			},
		})
		reread()
		for _, w := range watchers {
			for next(w) {
			}
			for _, id := range products {
				require.True(t, sameStock(stored(id), w.last[id]), "%s: %+v", id, w.last[id])
			}
		}
		h.Stop()
	})
}

// TestNewestArrivesInOneHistory: whatever the order, the last value seen is
// the highest version delivered.
func TestNewestArrivesInOneHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := NewHub(quick(newShop()))
		defer h.Stop()
		w, err := h.WatchStock(context.Background(), []string{"a"})
		require.NoError(t, err)
		var highest, last int64
		for _, v := range rapid.SliceOfN(rapid.Int64Range(1, 50), 1, 60).Draw(t, "versions") {
			h.message(channelOf("a"), string(stockjson.Encode(stockAt("a", epoch, v))))
			highest = max(highest, v)
			if rapid.Bool().Draw(t, "reads") {
				if s, _ := w.w(); s != nil {
					require.Greater(t, s.Version, last)
					last = s.Version
				}
			}
		}
		if s, _ := w.w(); s != nil {
			last = s.Version
		}
		require.Equal(t, highest, last)
	})
}

// w takes what is pending, without waiting.
func (w *StockWatch) w() (*models.Stock, error) { return w.seat.box.pop() }

// TestLateWordOfALostHistory: the database was restored; whatever of the lost
// history is still under way is at most a reason to read again.
func TestLateWordOfALostHistory(t *testing.T) {
	t.Parallel()
	db := newShop()
	db.put(stockAt("a", "old", 900))
	current := "old"
	cfg := quick(db)
	cfg.Epochs = epochFunc(func() string { return current })
	h := NewHub(cfg)
	defer h.Stop()
	w, err := h.WatchStock(t.Context(), []string{"a"})
	require.NoError(t, err)
	s, err := w.w()
	require.NoError(t, err)
	require.EqualValues(t, 900, s.Version)

	db.put(stockAt("a", "new", 5)) // and the first word of it comes before the keeper knows
	h.message(channelOf("a"), string(stockjson.Encode(db.stocks["a"])))
	require.Equal(t, []string{"a"}, h.stocks.rereader.takeAll())
	current = "new"
	for _, c := range []struct {
		epoch    string
		version  int64
		accepted bool
	}{
		{"old", 901, true}, // nothing better is known here yet
		{"new", 5, true},
		{"old", 902, false}, // newer than ever seen of the old history
		{"older", 7, false},
		{"new", 5, false},
		{"new", 6, true},
	} {
		h.message(channelOf("a"), string(stockjson.Encode(stockAt("a", c.epoch, c.version))))
		s, err := w.w()
		require.NoError(t, err)
		require.Equal(t, c.accepted, s != nil, "%+v", c)
		if c.epoch != current {
			require.Equal(t, []string{"a"}, h.stocks.rereader.takeAll(), "%+v", c)
		}
	}
	require.Empty(t, h.stocks.rereader.takeAll())
}

// TestReadOfAnotherHistoryIsPaced: while what is read does not fit the epoch
// that is known, it is read again, but never in a hot loop.
func TestReadOfAnotherHistoryIsPaced(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	db.put(stockAt("a", "new", 1))
	var current atomic.Value
	current.Store("old")
	cfg := quick(db)
	cfg.Epochs = epochFunc(func() string { return current.Load().(string) })
	h := startHub(t, s.Addr(), cfg)
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w), "the best there is")
	began, asked := time.Now(), db.asked.Load()
	require.Eventually(t, func() bool { return db.asked.Load() >= asked+3 }, soon, tick)
	// Two waits lie between three reads: the second is twice the first, and chance shortens each by half at most.
	require.GreaterOrEqual(t, time.Since(began), (rereadRetryMin+2*rereadRetryMin)/2)
	db.put(stockAt("a", "newer", 2))
	current.Store("newer")
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	next, err := w.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "newer", next.Epoch)
}

// TestNewcomersHearNothingOfALostHistory: a product that the restored database
// does not have, still known from a moment ago.
func TestNewcomersHearNothingOfALostHistory(t *testing.T) {
	t.Parallel()
	db := newShop()
	db.put(stockAt("a", "old", 900))
	current := "old"
	cfg := quick(db)
	cfg.Epochs = epochFunc(func() string { return current })
	h := NewHub(cfg)
	defer h.Stop()
	first, err := h.WatchStock(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.EqualValues(t, 900, nextVersion(t, first))
	first.Close()
	delete(db.stocks, "a")
	current = "new"
	second, err := h.WatchStock(t.Context(), []string{"a"})
	require.NoError(t, err)
	quiet(t, second)
	db.put(stockAt("a", "new", 1))
	h.Deliver([]*models.Stock{db.stocks["a"]})
	require.EqualValues(t, 1, nextVersion(t, second))
}
