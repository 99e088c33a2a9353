package stockfeed

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/storetest"
)

func TestWatchGivesTheCurrentThenEveryNewer(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		db.set("a", 3)
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		w := watch(t, h, "a", "a", "new")
		require.EqualValues(t, 3, nextVersion(t, w))
		requireEmpty(t, w)
		require.EqualValues(t, 1, publish(t, raw, stockAt("a", epoch, 4)))
		require.EqualValues(t, 4, nextVersion(t, w))
		// An unknown product is delivered once it exists.
		publish(t, raw, stockAt("new", epoch, 1))
		require.EqualValues(t, 1, nextVersion(t, w))
		// Older versions, repeated versions and other products are not delivered.
		publish(t, raw, stockAt("a", epoch, 2))
		publish(t, raw, stockAt("a", epoch, 4))
		publish(t, raw, stockAt("b", epoch, 9))
		h.Deliver([]*models.Stock{nil, stockAt("a", epoch, 4), stockAt("b", epoch, 10)})
		publish(t, raw, stockAt("a", epoch, 5))
		require.EqualValues(t, 5, nextVersion(t, w))
		requireEmpty(t, w)
	})
}

// TestMessagesComeFromRedis: a stock that came as a message says so.
func TestMessagesComeFromRedis(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		h, raw := startHub(t, s.ServerURL(), hubConfig(newFakeDatabase())), clientOf(t, s.Addr())
		w := watch(t, h, "a")
		require.EqualValues(t, 1, publish(t, raw, stockAt("a", epoch, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		got, err := w.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, models.FromCache, got.Source)
	})
}

// TestInvalidMessagesCauseARefresh: a message that cannot be decoded, or is of
// another product, still says that the product has changed.
func TestInvalidMessagesCauseARefresh(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		db.set("a", 1)
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		w := watch(t, h, "a")
		require.EqualValues(t, 1, nextVersion(t, w))
		for version, payload := range map[int64]string{
			2: "", 3: "{}", 4: string(stockbinary.Encode(stockAt("another", epoch, 99)).Message()),
		} {
			db.set("a", version+10*h.Stats().Messages)
			require.NoError(t, raw.Publish(t.Context(), channelOf("a"), payload).Err())
			require.Positive(t, nextVersion(t, w))
		}
	})
}

func TestSlowConsumerGetsTheLatestOnly(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		w := watch(t, h, "hot", "calm")
		const versions = 200
		for v := int64(1); v <= versions; v++ {
			publish(t, raw, stockAt("hot", epoch, v))
			if v == versions/2 {
				publish(t, raw, stockAt("calm", epoch, 1))
			}
		}
		awaitMessages(t, h, versions+1)
		require.Eventually(t, func() bool {
			w.watcher.queue.mu.Lock()
			defer w.watcher.queue.mu.Unlock()
			pending := w.watcher.queue.pending
			return len(pending) == 2 && pending[0].id == "hot" && pending[0].value.Version == versions
		}, soon, tick)
		require.EqualValues(t, versions, nextVersion(t, w))
		require.EqualValues(t, 1, nextVersion(t, w))
		requireEmpty(t, w)
	})
}

func TestAThousandWatchesAreOneSubscription(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		db.set("a", 1)
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		const watches = 1000
		var group sync.WaitGroup
		var wrong atomic.Int64
		ready := make(chan struct{}, watches)
		for range watches {
			group.Go(func() {
				w, err := h.WatchStock(t.Context(), []string{"a"})
				if err != nil {
					wrong.Add(1)
					ready <- struct{}{}
					return
				}
				defer w.Close()
				first, err := w.Next(t.Context())
				ready <- struct{}{}
				second, err2 := w.Next(t.Context())
				if err != nil || err2 != nil || first.Version != 1 || second.Version != 2 {
					wrong.Add(1)
				}
			})
		}
		for range watches {
			<-ready
		}
		require.EqualValues(t, 1, subscriptions(t, raw, channelOf("a")))
		require.EqualValues(t, 1, publish(t, raw, stockAt("a", epoch, 2)))
		group.Wait()
		require.Zero(t, wrong.Load())
		require.Zero(t, h.Stats().Watches)
		require.Equal(t, 1, h.Stats().Products, "the topic lingers")
		require.Zero(t, h.Stats().Watched)
	})
}

func TestSubscriptionLingers(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		cfg := hubConfig(db)
		cfg.Linger = 400 * time.Millisecond
		h, raw := startHub(t, s.ServerURL(), cfg), clientOf(t, s.Addr())
		first := watch(t, h, "a")
		first.Close()
		first.Close()
		closed := time.Now()
		if subscriptions(t, raw, channelOf("a")) != 1 {
			require.Greater(t, time.Since(closed), cfg.Linger, "unsubscribed too early")
		}
		// A new watch in time keeps the subscription, however long it lasts.
		second := watch(t, h, "a")
		require.Eventually(t, func() bool { return time.Since(closed) > 2*cfg.Linger }, soon, tick)
		require.EqualValues(t, 1, subscriptions(t, raw, channelOf("a")))
		second.Close()
		require.Eventually(t, func() bool { return subscriptions(t, raw, channelOf("a")) == 0 }, soon, tick)
		require.Zero(t, h.Stats().Products)
		// A later watch subscribes again.
		third := watch(t, h, "a")
		publish(t, raw, stockAt("a", epoch, 1))
		require.EqualValues(t, 1, nextVersion(t, third))
	})
}

// TestNothingIsLostBetweenReadAndSubscribe has a writer change a product all the
// time while watches begin. Every watch ends on the last version, whichever
// version it got first.
func TestNothingIsLostBetweenReadAndSubscribe(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		cfg := hubConfig(db)
		cfg.Linger = time.Millisecond // so that each watch subscribes again
		h, raw := startHub(t, s.ServerURL(), cfg), clientOf(t, s.Addr())
		const last = 300
		done := make(chan struct{})
		go func() {
			defer close(done)
			for v := int64(1); v <= last; v++ {
				stock := db.set("a", v)
				if err := raw.Publish(t.Context(), channelOf("a"), stockbinary.Encode(stock).Message()).Err(); err != nil {
					t.Error(err)
				}
			}
		}()
		for n := 0; ; n++ {
			w := watch(t, h, "a")
			select {
			case <-done:
				for v := int64(0); v != last; v = nextVersion(t, w) {
				}
				require.Positive(t, n)
				return
			default:
			}
			v := int64(0)
			for range 3 {
				if v == last {
					break
				}
				next := nextVersion(t, w)
				require.Greater(t, next, v)
				v = next
			}
			w.Close()
		}
	})
}

// TestReadErrorsEndTheNewWatchOnly: watches that exist keep their values, and a
// refresh that fails is retried until it succeeds.
func TestReadErrorsEndTheNewWatchOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		db.set("a", 1)
		h := startHubAt(t, refused(t), hubConfig(db))
		existing := watch(t, h, "a")
		require.EqualValues(t, 1, nextVersion(t, existing))
		db.setDown(true)
		_, err := h.WatchStock(t.Context(), []string{"a"})
		require.ErrorIs(t, err, errDatabase)
		require.Equal(t, 1, h.Stats().Watches)
		calls := db.calls.Load()
		h.Refresh()
		awaitInBubble(t, func() bool { return db.calls.Load() >= calls+2 })
		db.set("a", 2)
		db.setDown(false)
		require.EqualValues(t, 2, nextVersion(t, existing))
	})
}

func TestBounds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cfg := hubConfig(newFakeDatabase())
		cfg.WatchesMax = 2
		h := startHubAt(t, refused(t), cfg)
		for _, n := range []int{0, WatchIDsMax + 1} {
			list := make([]string, n)
			for i := range list {
				list[i] = fmt.Sprint(i)
			}
			_, err := h.WatchStock(t.Context(), list)
			require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		}
		first := watch(t, h, "a")
		watch(t, h, "b")
		_, err := h.WatchStock(t.Context(), []string{"c"})
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
		_, err = h.WatchReservation(t.Context(), "res_1")
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
		first.Close()
		_, err = first.Next(t.Context())
		require.ErrorIs(t, err, ErrClosed)
		watch(t, h, "c")
	})
}

func TestStopEndsEverything(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		now := time.Now()
		db.reserve(models.Reservation{ID: "res_1", State: models.ReservationActive, Version: 1, ExpiresAt: now.Add(time.Hour)})
		h := startHub(t, s.ServerURL(), hubConfig(db))
		w := watch(t, h, "a")
		r, err := h.WatchReservation(t.Context(), "res_1")
		require.NoError(t, err)
		defer r.Close()
		_, err = r.Next(t.Context())
		require.NoError(t, err)
		ended := make(chan error, 2)
		go func() { _, err := w.Next(t.Context()); ended <- err }()
		go func() { _, err := r.Next(t.Context()); ended <- err }()
		var stops sync.WaitGroup
		for range 3 {
			stops.Go(h.Stop)
		}
		require.ErrorIs(t, <-ended, ErrStopped)
		require.ErrorIs(t, <-ended, ErrStopped)
		stops.Wait()
		_, err = w.Next(t.Context())
		require.ErrorIs(t, err, ErrStopped)
		_, err = h.WatchStock(t.Context(), []string{"a"})
		require.ErrorIs(t, err, ErrStopped)
		require.ErrorIs(t, h.Start(t.Context()), ErrStopped)
		h.DeliverReservations([]*models.Reservation{{ID: "res_1", State: models.ReservationActive, Version: 2, ServerTime: now}})
		require.False(t, h.Connected())
	})
}

func TestAHubStopsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg := hubConfig(newFakeDatabase())
	cfg.Client = clientAt(t, storetest.Redis(t).ServerURL())
	h := NewHub(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, h.Start(ctx))
	require.Error(t, h.Start(ctx), "started twice")
	w := watch(t, h, "a")
	cancel()
	_, err := w.Next(t.Context())
	require.ErrorIs(t, err, ErrStopped)
	h.Stop()

	neverStarted := NewHub(cfg)
	neverStarted.Stop()
	_, err = neverStarted.WatchStock(t.Context(), []string{"a"})
	require.ErrorIs(t, err, ErrStopped)
}
