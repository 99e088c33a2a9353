package stockfeed

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestPushStock: a watch without a goroutine is notified of the first value and of newer
// ones, gets the latest of each product, and shares it with all other watches.
func TestPushStock(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	db.set("a", 1)
	db.set("b", 1)
	h := NewHub(hubConfig(db))
	defer h.Stop()
	ended, end := context.WithCancel(t.Context())
	end()
	var notified atomic.Int64
	take := func(w *StockWatch) (list []*models.Stock) {
		for {
			s, err := w.Next(ended)
			if errors.Is(err, context.Canceled) {
				return list
			}
			require.NoError(t, err)
			list = append(list, s)
		}
	}
	one, err := h.PushStock(t.Context(), []string{"a", "b"}, func() { notified.Add(1) })
	require.NoError(t, err)
	require.Positive(t, notified.Load())
	require.Len(t, take(one), 2)
	other := watch(t, h, "b", "a")
	for range 2 {
		_, err := other.Next(t.Context())
		require.NoError(t, err)
	}

	before := notified.Load()
	for version := int64(2); version < 10; version++ {
		h.Deliver([]*models.Stock{stockAt("a", epoch, version), stockAt("b", epoch, version)})
	}
	require.Greater(t, notified.Load(), before)
	latest := take(one)
	require.Len(t, latest, 2, "the latest of each")
	for _, s := range latest {
		require.EqualValues(t, 9, s.Version)
		same, err := other.Next(t.Context())
		require.NoError(t, err)
		require.Same(t, s, same)
	}
	one.Repeat()
	require.Len(t, take(one), 2)

	before = notified.Load()
	one.Close()
	require.Greater(t, notified.Load(), before)
	_, err = one.Next(ended)
	require.ErrorIs(t, err, ErrClosed)
	before = notified.Load()
	h.Deliver([]*models.Stock{stockAt("a", epoch, 10)})
	require.Equal(t, before, notified.Load())
}

// TestPushStockStops: a hub that stops notifies the watches.
func TestPushStockStops(t *testing.T) {
	t.Parallel()
	h := NewHub(hubConfig(newFakeDatabase()))
	notified := make(chan struct{}, 10)
	w, err := h.PushStock(t.Context(), []string{"a"}, func() { notified <- struct{}{} })
	require.NoError(t, err)
	h.Stop()
	<-notified
	_, err = w.Next(t.Context())
	require.ErrorIs(t, err, ErrStopped)
	w.Close()
}

// TestWatchersLeaveInAnyOrder: a topic knows its watchers while they come and go.
func TestWatchersLeaveInAnyOrder(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	h := NewHub(hubConfig(db))
	defer h.Stop()
	open := map[*StockWatch]bool{}
	version := int64(0)
	for round := range 60 {
		ids := [][]string{{"a"}, {"a", "b"}, {"b", "c", "a"}}[round%3]
		open[watch(t, h, ids...)] = true
		open[watch(t, h, "a", "c")] = true
		for w := range open { // any of them
			w.Close()
			w.Close()
			delete(open, w)
			break
		}
		version++
		h.Deliver([]*models.Stock{stockAt("a", epoch, version)})
		for w := range open {
			require.Equal(t, version, nextVersion(t, w))
			requireEmpty(t, w)
		}
	}
	for w := range open {
		w.Close()
	}
	h.stocks.mu.Lock()
	defer h.stocks.mu.Unlock()
	require.Empty(t, h.stocks.watchers)
	for _, topic := range h.stocks.topics {
		require.Empty(t, topic.watchers)
	}
}
