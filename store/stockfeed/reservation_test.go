package stockfeed

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// activeAt is an active reservation at a version.
func activeAt(id string, version int64, expiresAt time.Time) models.Reservation {
	return models.Reservation{ID: id, State: models.ReservationActive, Version: version, ExpiresAt: expiresAt}
}

func inAnHour() time.Time { return time.Now().Add(time.Hour) }

func watchReservation(t *testing.T, h *Hub, id string) *ReservationWatch {
	t.Helper()
	w, err := h.WatchReservation(t.Context(), id)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func nextReservation(t *testing.T, w *ReservationWatch) *models.Reservation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	r, err := w.Next(ctx)
	require.NoError(t, err)
	return r
}

func TestReservationMessages(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		notify := func(id string) {
			require.NoError(t, raw.Publish(t.Context(), reservationChannelOf(id), "").Err())
		}
		r := activeAt("res_1", 1, inAnHour())
		db.reserve(r)
		w := watchReservation(t, h, "res_1")
		require.EqualValues(t, 1, nextReservation(t, w).Version)
		r.Version++
		db.reserve(r)
		notify("res_1")
		require.EqualValues(t, 2, nextReservation(t, w).Version)
		notify("res_1") // without a change
		notify("res_2") // not watched
		r.Version, r.State = 3, models.ReservationCommitted
		db.reserve(r)
		notify("res_1")
		require.Equal(t, models.ReservationCommitted, nextReservation(t, w).State)
		r.Version, r.State = 4, models.ReservationFulfilled
		db.reserve(r)
		notify("res_1")
		require.Equal(t, models.ReservationFulfilled, nextReservation(t, w).State)
		for range 2 {
			_, err := w.Next(t.Context())
			require.ErrorIs(t, err, io.EOF)
		}
		// A watch that begins after the final state gets that state.
		late := watchReservation(t, h, "res_1")
		require.Equal(t, models.ReservationFulfilled, nextReservation(t, late).State)
		_, err := late.Next(t.Context())
		require.ErrorIs(t, err, io.EOF)
	})
}

// TestReservationExpiresByTime: a reservation expires without a write or a
// message. Extending it moves the moment.
func TestReservationExpiresByTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		h := startHubAt(t, refused(t), hubConfig(db))
		expiresAt := time.Now().Add(300 * time.Millisecond)
		db.reserve(activeAt("res_1", 1, expiresAt))
		db.reserve(activeAt("res_2", 1, expiresAt))
		first, second := watchReservation(t, h, "res_1"), watchReservation(t, h, "res_2")
		require.Equal(t, models.ReservationActive, nextReservation(t, first).State)
		require.Equal(t, models.ReservationActive, nextReservation(t, second).State)

		extended := activeAt("res_2", 2, expiresAt.Add(300*time.Millisecond))
		db.reserve(extended)
		extended.ServerTime = time.Now()
		h.DeliverReservations([]*models.Reservation{nil, &extended})
		require.EqualValues(t, 2, nextReservation(t, second).Version)

		for _, c := range []struct {
			watch     *ReservationWatch
			expiresAt time.Time
			version   int64
		}{{first, expiresAt, 2}, {second, extended.ExpiresAt, extended.Version + 1}} {
			r := nextReservation(t, c.watch)
			require.Equal(t, models.ReservationExpired, r.State)
			require.Equal(t, c.version, r.Version)
			require.False(t, r.ServerTime.Before(c.expiresAt))
			require.LessOrEqual(t, time.Since(c.expiresAt), 2*expiryMargin)
			_, err := c.watch.Next(t.Context())
			require.ErrorIs(t, err, io.EOF)
		}
	})
}

// TestExpiredReservationIsDeliveredOnce: a reservation that has expired before
// its first read is delivered as expired.
func TestExpiredReservationIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	h := NewHub(hubConfig(newFakeDatabase()))
	defer h.Stop()
	now := time.Now()
	w, err := h.reservations.add([]string{"res_1"}, nil)
	require.NoError(t, err)
	r := activeAt("res_1", 1, now)
	r.ServerTime = now
	h.DeliverReservations([]*models.Reservation{&r})
	got, err := w.queue.tryTake()
	require.NoError(t, err)
	require.Equal(t, models.ReservationExpired, got.State)
	// An earlier read that is delivered late does not make it active again, and a
	// later one does not repeat it.
	r.ServerTime = now.Add(-time.Second)
	h.DeliverReservations([]*models.Reservation{&r})
	r.ServerTime = now.Add(time.Second)
	h.DeliverReservations([]*models.Reservation{&r})
	got, err = w.queue.tryTake()
	require.NoError(t, err)
	require.Nil(t, got)
	h.reservations.remove(w)
}

// TestReservationsAreRefreshedPeriodically: changes without a message arrive
// with the periodic refresh, with Redis and without.
func TestReservationsAreRefreshedPeriodically(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, db *fakeDatabase, h *Hub) {
		r := activeAt("res_1", 1, inAnHour())
		db.reserve(r)
		w := watchReservation(t, h, "res_1")
		require.EqualValues(t, 1, nextReservation(t, w).Version)
		r.Version, r.State = 2, models.ReservationReleased
		db.reserve(r)
		require.Equal(t, models.ReservationReleased, nextReservation(t, w).State)
		// A final state is not refreshed.
		h.Stop()
		h.reservations.refresher.takePending()
		h.Refresh()
		require.Empty(t, h.reservations.refresher.takePending())
	}
	t.Run("connected", func(t *testing.T) {
		t.Parallel()
		db := newFakeDatabase()
		cfg := hubConfig(db)
		cfg.RefreshInterval = 20 * time.Millisecond
		check(t, db, startHub(t, storetest.Redis(t).ServerURL(), cfg))
	})
	t.Run("disconnected", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			db := newFakeDatabase()
			cfg := hubConfig(db)
			cfg.RefreshInterval = refreshIntervalDefault
			check(t, db, startHubAt(t, refused(t), cfg))
		})
	})
}

func TestUnknownReservation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		h := startHubAt(t, refused(t), hubConfig(db))
		_, err := h.WatchReservation(t.Context(), "res_0")
		require.ErrorIs(t, err, ErrNoReservation)
		db.setDown(true)
		_, err = h.WatchReservation(t.Context(), "res_0")
		require.ErrorIs(t, err, errDatabase)
		require.Zero(t, h.Stats().Watches)
	})
}

// TestReservationsAreRefreshedInBatches: messages for many reservations cause
// few reads.
func TestReservationsAreRefreshedInBatches(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
	const n = 300
	watches := make([]*ReservationWatch, n)
	for i := range watches {
		id := fmt.Sprint("res_", i)
		db.reserve(activeAt(id, 1, inAnHour()))
		watches[i] = watchReservation(t, h, id)
		nextReservation(t, watches[i])
	}
	calls := db.calls.Load()
	p := raw.Pipeline()
	for i := range watches {
		id := fmt.Sprint("res_", i)
		db.reserve(activeAt(id, 2, inAnHour()))
		p.Publish(t.Context(), reservationChannelOf(id), "")
	}
	_, err := p.Exec(t.Context())
	require.NoError(t, err)
	for _, w := range watches {
		require.EqualValues(t, 2, nextReservation(t, w).Version)
	}
	t.Logf("%d messages, %d reads", n, db.calls.Load()-calls)
	require.Less(t, db.calls.Load()-calls, int64(n/3))
}

// TestReservationsOfARestoredDatabase: a watch follows the database to an
// earlier state. A reservation committed in the earlier epoch only causes a
// refresh. Watches of a reservation that the restored database lacks end.
func TestReservationsOfARestoredDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		var current atomic.Value
		current.Store("old")
		cfg := hubConfig(db)
		cfg.Epochs = epochFunc(func() string { return current.Load().(string) })
		h := startHubAt(t, refused(t), cfg)
		backup := activeAt("res_1", 1, inAnHour())
		lost := backup
		lost.Version, lost.State = 5, models.ReservationCommitted
		db.reserve(lost)
		db.reserve(activeAt("res_2", 1, inAnHour()))
		restored, missing := watchReservation(t, h, "res_1"), watchReservation(t, h, "res_2")
		require.EqualValues(t, 5, nextReservation(t, restored).Version)
		nextReservation(t, missing)

		db.reserve(backup)
		db.mu.Lock()
		delete(db.reservations, "res_2")
		db.mu.Unlock()
		current.Store("new")
		late := lost
		late.Version, late.ServerTime = 6, time.Now()
		h.DeliverReservations([]*models.Reservation{&late}) // before Refresh
		h.Refresh()
		r := nextReservation(t, restored)
		require.EqualValues(t, 1, r.Version)
		require.Equal(t, models.ReservationActive, r.State)
		_, err := missing.Next(t.Context())
		require.ErrorIs(t, err, ErrNoReservation)

		calls := db.calls.Load()
		h.DeliverReservations([]*models.Reservation{&late})
		awaitInBubble(t, func() bool { return db.calls.Load() > calls })
		got, err := restored.watcher.queue.tryTake()
		require.NoError(t, err)
		require.Nil(t, got)
		backup.Version, backup.State = 2, models.ReservationReleased
		db.reserve(backup)
		h.Refresh()
		require.EqualValues(t, 2, nextReservation(t, restored).Version)

		// Once the epoch has settled, a commit of this instance is delivered at once.
		time.Sleep(epochSettleTime)
		next := activeAt("res_3", 1, inAnHour())
		db.reserve(next)
		settled := watchReservation(t, h, "res_3")
		require.EqualValues(t, 1, nextReservation(t, settled).Version)
		calls = db.calls.Load()
		next.Version, next.ServerTime = 2, time.Now()
		h.DeliverReservations([]*models.Reservation{&next})
		require.EqualValues(t, 2, nextReservation(t, settled).Version)
		require.Equal(t, calls, db.calls.Load())
	})
}
