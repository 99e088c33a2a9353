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

// holdAt is an active reservation at a version.
func holdAt(id string, version int64, expires time.Time) models.Reservation {
	return models.Reservation{ID: id, State: models.ReservationActive, Version: version, ExpiresAt: expires}
}

func later() time.Time { return time.Now().Add(time.Hour) }

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

func TestReservationWakeUps(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newShop()
		h, raw := startHub(t, s.Addr(), quick(db)), clientOf(t, s.Addr())
		wake := func(id string) {
			require.NoError(t, raw.Publish(t.Context(), reservationChannelOf(id), "").Err())
		}
		r := holdAt("res_1", 1, later())
		db.reserve(r)
		w := watchReservation(t, h, "res_1")
		require.EqualValues(t, 1, nextReservation(t, w).Version)
		r.Version++
		db.reserve(r)
		wake("res_1")
		require.EqualValues(t, 2, nextReservation(t, w).Version)
		wake("res_1") // nothing is new
		wake("res_2") // nobody's
		r.Version, r.State = 3, models.ReservationCommitted
		db.reserve(r)
		wake("res_1")
		require.Equal(t, models.ReservationCommitted, nextReservation(t, w).State)
		r.Version, r.State = 4, models.ReservationFulfilled
		db.reserve(r)
		wake("res_1")
		require.Equal(t, models.ReservationFulfilled, nextReservation(t, w).State)
		for range 2 {
			_, err := w.Next(t.Context())
			require.ErrorIs(t, err, io.EOF)
		}
		// Who comes after the end gets the end.
		after := watchReservation(t, h, "res_1")
		require.Equal(t, models.ReservationFulfilled, nextReservation(t, after).State)
		_, err := after.Next(t.Context())
		require.ErrorIs(t, err, io.EOF)
	})
}

// TestReservationExpiresByTime: nobody writes and nothing is published; the
// clock of the database makes it expire. Extending it moves the moment.
func TestReservationExpiresByTime(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	h := startHub(t, s.Addr(), quick(db))
	expires := time.Now().Add(300 * time.Millisecond)
	db.reserve(holdAt("res_1", 1, expires))
	db.reserve(holdAt("res_2", 1, expires))
	first, second := watchReservation(t, h, "res_1"), watchReservation(t, h, "res_2")
	require.Equal(t, models.ReservationActive, nextReservation(t, first).State)
	require.Equal(t, models.ReservationActive, nextReservation(t, second).State)

	extended := holdAt("res_2", 2, expires.Add(300*time.Millisecond))
	db.reserve(extended)
	extended.ServerTime = time.Now()
	h.DeliverReservations([]*models.Reservation{nil, &extended})
	require.EqualValues(t, 2, nextReservation(t, second).Version)

	for w, at := range map[*ReservationWatch]time.Time{first: expires, second: extended.ExpiresAt} {
		r := nextReservation(t, w)
		require.Equal(t, models.ReservationExpired, r.State)
		require.False(t, r.ServerTime.Before(at))
		_, err := w.Next(t.Context())
		require.ErrorIs(t, err, io.EOF)
	}
}

// TestReservationThatIsOverIsExpired: a hold that is over already when it is
// first read is given as expired, once.
func TestReservationThatIsOverIsExpired(t *testing.T) {
	t.Parallel()
	h := NewHub(quick(newShop()))
	defer h.Stop()
	now := time.Now()
	seat, err := h.reservations.join([]string{"res_1"})
	require.NoError(t, err)
	r := holdAt("res_1", 1, now)
	r.ServerTime = now
	h.DeliverReservations([]*models.Reservation{&r})
	got, err := seat.box.pop()
	require.NoError(t, err)
	require.Equal(t, models.ReservationExpired, got.State)
	// An earlier reading that comes late does not bring it back, nor does it
	// come twice.
	r.ServerTime = now.Add(-time.Second)
	h.DeliverReservations([]*models.Reservation{&r})
	r.ServerTime = now.Add(time.Second)
	h.DeliverReservations([]*models.Reservation{&r})
	got, err = seat.box.pop()
	require.NoError(t, err)
	require.Nil(t, got)
	h.reservations.leave(seat)
}

// TestReservationsAreRepaired: changes that nobody announced arrive by the
// regular reading, Redis or not.
func TestReservationsAreRepaired(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprint("down ", down), func(t *testing.T) {
			t.Parallel()
			s := storetest.Redis(t)
			if down {
				require.NoError(t, s.Kill())
			}
			db := newShop()
			cfg := quick(db)
			cfg.RereadInterval = 20 * time.Millisecond
			h := startHubAlone(t, s.Addr(), cfg)
			r := holdAt("res_1", 1, later())
			db.reserve(r)
			w := watchReservation(t, h, "res_1")
			require.EqualValues(t, 1, nextReservation(t, w).Version)
			r.Version, r.State = 2, models.ReservationReleased
			db.reserve(r)
			require.Equal(t, models.ReservationReleased, nextReservation(t, w).State)
			// What is final is not read any more.
			h.Stop()
			h.reservations.rereader.takeAll()
			h.Refresh()
			require.Empty(t, h.reservations.rereader.takeAll())
		})
	}
}

func TestUnknownReservation(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	h := startHub(t, s.Addr(), quick(db))
	_, err := h.WatchReservation(t.Context(), "res_0")
	require.ErrorIs(t, err, ErrNoReservation)
	db.breakDown(true)
	_, err = h.WatchReservation(t.Context(), "res_0")
	require.ErrorIs(t, err, errShop)
	require.Zero(t, h.Stats().Watches)
}

// TestReservationsAreReadInBatches: a wake-up for each of many is few reads.
func TestReservationsAreReadInBatches(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	h, raw := startHub(t, s.Addr(), quick(db)), clientOf(t, s.Addr())
	const n = 300
	watches := make([]*ReservationWatch, n)
	for i := range watches {
		id := fmt.Sprint("res_", i)
		db.reserve(holdAt(id, 1, later()))
		watches[i] = watchReservation(t, h, id)
		nextReservation(t, watches[i])
	}
	asked := db.asked.Load()
	p := raw.Pipeline()
	for i := range watches {
		id := fmt.Sprint("res_", i)
		db.reserve(holdAt(id, 2, later()))
		p.Publish(t.Context(), reservationChannelOf(id), "")
	}
	_, err := p.Exec(t.Context())
	require.NoError(t, err)
	for _, w := range watches {
		require.EqualValues(t, 2, nextReservation(t, w).Version)
	}
	t.Logf("%d wake-ups, %d reads", n, db.asked.Load()-asked)
	require.Less(t, db.asked.Load()-asked, int64(n/3))
}

// TestReservationsOfARestoredDatabase: a watcher follows the database back in
// time; what a write of the lost history says afterwards is only a wake-up; a
// reservation that the restored database does not have ends its watches.
func TestReservationsOfARestoredDatabase(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	var current atomic.Value
	current.Store("old")
	cfg := quick(db)
	cfg.Epochs = epochFunc(func() string { return current.Load().(string) })
	h := startHub(t, s.Addr(), cfg)
	backup := holdAt("res_1", 1, later())
	lost := backup
	lost.Version, lost.State = 5, models.ReservationCommitted
	db.reserve(lost)
	db.reserve(holdAt("res_2", 1, later()))
	back, gone := watchReservation(t, h, "res_1"), watchReservation(t, h, "res_2")
	require.EqualValues(t, 5, nextReservation(t, back).Version)
	nextReservation(t, gone)

	db.reserve(backup)
	db.mu.Lock()
	delete(db.reservations, "res_2")
	db.mu.Unlock()
	current.Store("new")
	late := lost
	late.Version, late.ServerTime = 6, time.Now()
	h.DeliverReservations([]*models.Reservation{&late}) // before anybody said Refresh
	h.Refresh()
	r := nextReservation(t, back)
	require.EqualValues(t, 1, r.Version)
	require.Equal(t, models.ReservationActive, r.State)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err := gone.Next(ctx)
	require.ErrorIs(t, err, ErrNoReservation)

	asked := db.asked.Load()
	h.DeliverReservations([]*models.Reservation{&late})
	require.Eventually(t, func() bool { return db.asked.Load() > asked }, soon, tick)
	backup.Version, backup.State = 2, models.ReservationReleased
	db.reserve(backup)
	h.Refresh()
	require.EqualValues(t, 2, nextReservation(t, back).Version)
}
