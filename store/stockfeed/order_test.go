package stockfeed

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// TestVersionsStrictlyIncrease delivers stocks at random: repeated, out of
// order, of several epochs, as messages, offers and reads, to watchers that
// come and go and read when they like. In each epoch every watcher's versions
// strictly increase, and in the end everybody has the newest.
func TestVersionsStrictlyIncrease(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		db := newShop()
		h := NewHub(quick(db)) // not started: there is no Redis in this
		products := []string{"a", "b"}
		newest := map[string]*models.Stock{}
		type watcher struct {
			w    *Watch
			seen map[string]int64 // by product and epoch
			last map[string]*models.Stock
		}
		var watchers []*watcher
		next := func(w *watcher) bool {
			s, err := w.w.seat.box.pop()
			require.NoError(t, err)
			if s == nil {
				return false
			}
			key := s.ProductID + "/" + s.Epoch
			require.Greater(t, s.Version, w.seen[key], key)
			w.seen[key] = s.Version
			w.last[s.ProductID] = s
			return true
		}
		epochs := rapid.IntRange(1, 3).Draw(t, "epochs")
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"deliver": func(t *rapid.T) {
				s := stockAt(rapid.SampledFrom(products).Draw(t, "product"),
					fmt.Sprint("e", rapid.IntRange(1, epochs).Draw(t, "epoch")), rapid.Int64Range(1, 9).Draw(t, "version"))
				if s.Newer(newest[s.ProductID]) {
					newest[s.ProductID] = s
				}
				switch rapid.IntRange(0, 2).Draw(t, "way") {
				case 0:
					h.message(channelOf(s.ProductID), string(models.EncodeStock(s)))
				case 1:
					h.Offer([]*models.Stock{s})
				case 2:
					db.put(s)
					require.NoError(t, h.readStocks(context.Background(), []string{s.ProductID}))
				}
			},
			"watch": func(t *rapid.T) {
				w, err := h.Watch(context.Background(), products)
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
		for _, w := range watchers {
			for next(w) {
			}
		}
		// All who watch agree on the latest, and it is the newest where there is
		// one history.
		for _, w := range watchers {
			for _, id := range products {
				topic := h.stocks.topics[channelOf(id)]
				require.Equal(t, topic.latest, w.last[id])
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
		w, err := h.Watch(context.Background(), []string{"a"})
		require.NoError(t, err)
		var highest, last int64
		for _, v := range rapid.SliceOfN(rapid.Int64Range(1, 50), 1, 60).Draw(t, "versions") {
			h.message(channelOf("a"), string(models.EncodeStock(stockAt("a", epoch, v))))
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
func (w *Watch) w() (*models.Stock, error) { return w.seat.box.pop() }

func TestAnotherEpochIsAccepted(t *testing.T) {
	t.Parallel()
	h := NewHub(quick(newShop()))
	defer h.Stop()
	w, err := h.Watch(t.Context(), []string{"a"})
	require.NoError(t, err)
	for _, c := range []struct {
		epoch    string
		version  int64
		accepted bool
	}{
		{"old", 900, true},
		{"new", 5, true},    // restored from a backup
		{"old", 899, false}, // still under way
		{"old", 900, false},
		{"new", 5, false},
		{"new", 6, true},
	} {
		h.Offer([]*models.Stock{stockAt("a", c.epoch, c.version)})
		s, err := w.w()
		require.NoError(t, err)
		require.Equal(t, c.accepted, s != nil, "%+v", c)
	}
}
