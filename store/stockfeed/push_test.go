package stockfeed

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
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
	one, err := h.PushStock(t.Context(), []string{"a", "b"}, func(bool) { notified.Add(1) })
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
	w, err := h.PushStock(t.Context(), []string{"a"}, func(bool) { notified <- struct{}{} })
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

// TestWatchesOpenAndCloseAtOnce is for the race detector: watches of the same products begin and end at once.
func TestWatchesOpenAndCloseAtOnce(t *testing.T) {
	t.Parallel()
	db, s := newFakeDatabase(), miniredis.RunT(t)
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		db.set(id, 1)
	}
	h := startHub(t, "redis://"+s.Addr(), hubConfig(db))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				w, err := h.WatchStock(t.Context(), ids)
				if assert.NoError(t, err) {
					w.Close()
				}
			}
		})
	}
	group.Wait()
	watchers, _, _ := h.stocks.size()
	require.Zero(t, watchers)
}

// TestLaterWatchesReadNothing: a watch of products that are watched begins with what the
// hub has. It reads where the subscription is new or was interrupted, where another
// epoch began, where Redis is silent, and products that do not exist.
func TestLaterWatchesReadNothing(t *testing.T) {
	t.Parallel()
	db, s := newFakeDatabase(), miniredis.RunT(t)
	db.set("a", 1)
	db.set("b", 1)
	current := atomic.Pointer[string]{}
	name := epoch
	current.Store(&name)
	cfg := hubConfig(db)
	cfg.Epochs = epochFunc(func() string { return *current.Load() })
	h, raw := startHub(t, "redis://"+s.Addr(), cfg), clientOf(t, s.Addr())
	readsNow := func(ids ...string) int64 {
		before := db.calls.Load()
		watch(t, h, ids...)
		return db.calls.Load() - before
	}
	reads := func(ids ...string) int64 {
		h.subscriber.received.Load().touch() // Redis is not silent
		return readsNow(ids...)
	}
	require.EqualValues(t, 1, reads("a"), "the first")
	require.EqualValues(t, 0, reads("a"))
	require.EqualValues(t, 1, reads("a", "b"), "one is new")
	require.EqualValues(t, 0, reads("b", "a"))
	require.EqualValues(t, 1, reads("unknown"))
	require.EqualValues(t, 1, reads("unknown"))

	earlier := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, earlier))
	publish(t, raw, stockAt("a", epoch, 2))
	require.EqualValues(t, 2, nextVersion(t, earlier))
	h.subscriber.received.Load().touch()
	w := watch(t, h, "a")
	require.EqualValues(t, 2, nextVersion(t, w), "the latest")

	next := "epoch 2"
	current.Store(&next)
	require.EqualValues(t, 1, reads("b"), "another epoch")
	current.Store(&name)

	h.subscriber.received.Store(&activity{start: time.Now().Add(-2 * silenceCurrentMax)})
	require.EqualValues(t, 1, readsNow("a"), "silent")
	h.subscriber.received.Load().touch()
	require.True(t, h.stocks.isCurrent(w.watcher))
	h.stocks.disconnected()
	require.False(t, h.stocks.isCurrent(w.watcher), "interrupted")
}

// TestLoneMessage: the only watch of a product may take the value of a lone message, and
// end, while it is notified. Other watches may not: workers do.
func TestLoneMessage(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	db.set("a", 1)
	h := NewHub(hubConfig(db))
	defer h.Stop()
	ended, end := context.WithCancel(t.Context())
	end()
	message := func(version int64, lone bool) {
		h.message(channelOf("a"), string(stockbinary.Encode(stockAt("a", epoch, version)).Message()), lone)
	}
	var w *StockWatch
	var taken []int64
	later := 0
	notify := func(now bool) {
		if !now {
			later++
			return
		}
		s, err := w.Next(ended)
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			return
		}
		taken = append(taken, s.Version)
		if s.Version == 5 {
			w.Close()
		}
	}
	w, err := h.PushStock(t.Context(), []string{"a"}, notify)
	require.NoError(t, err)
	_, err = w.Next(ended)
	require.NoError(t, err)

	later = 0
	message(2, true)
	require.Equal(t, []int64{2}, taken)
	message(2, true) // repeated
	require.Equal(t, []int64{2}, taken)
	require.Zero(t, later)
	message(3, false)
	require.Equal(t, 1, later)
	other, err := h.PushStock(t.Context(), []string{"a"}, func(now bool) { require.False(t, now) })
	require.NoError(t, err)
	message(4, true)
	require.Equal(t, 2, later)
	require.Equal(t, []int64{2}, taken)
	other.Close()
	_, err = w.Next(ended)
	require.NoError(t, err)
	message(5, true)
	require.Equal(t, []int64{2, 5}, taken)
	message(6, true) // nobody watches
	require.Equal(t, []int64{2, 5}, taken)
}

// TestMessagesAfterAPauseAreLone: what Redis sends after a pause is lone.
func TestMessagesAfterAPauseAreLone(t *testing.T) {
	onEvery(t, func(t *testing.T, server server) {
		db := newFakeDatabase()
		db.set("a", 1)
		h := startHub(t, server.ServerURL(), hubConfig(db))
		raw := clientOf(t, server.Addr())
		lone := make(chan bool, 100)
		w, err := h.PushStock(t.Context(), []string{"a"}, func(now bool) { lone <- now })
		require.NoError(t, err)
		defer w.Close()
		for version := int64(2); ; version++ { // a busy machine may make others follow at once
			time.Sleep(2 * loneGap)
			publish(t, raw, stockAt("a", epoch, version))
			select {
			case now := <-lone:
				if now {
					return
				}
			case <-time.After(soon):
				require.Fail(t, "no lone message")
			}
		}
	})
}
