package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Every state that a client can see has a version of its own: the expiry that holds
// before the sweep too. What the sweep, or a refused write, stores later is equal to it.
func TestVersionOfTheExpiry(t *testing.T) {
	stored := map[string]func(*shop, string){
		"sweep":    func(s *shop, _ string) { require.Len(s.t, s.sweep(1), 1) },
		"release":  func(s *shop, id string) { s.fails(s.do(release(id)), notActive(models.ReservationExpired)) },
		"shortage": func(s *shop, _ string) { s.reserved(line("shortage", 5)) }, // takes the units of the expired reservation
	}
	const inState = "SELECT count(*) FROM reservations WHERE reservation_id = $1 AND state = $2"
	onEvery(t, func(t *testing.T, s *shop) {
		for by, store := range stored {
			t.Run(by, func(t *testing.T) {
				s := s.with(t)
				s.stock(by, "north", 5)
				w := reserve(line(by, 2))
				created := s.ok(w).Reservation
				extended := s.ok(models.ExtendReservation{ID: created.ID, TTL: time.Hour}).Reservation
				require.Greater(t, extended.Version, created.Version+1, "the version between them is that of an expiry")
				s.overdue(created.ID)
				derived := s.reservation(created.ID)
				require.Equal(t, models.ReservationExpired, derived.State)
				require.Greater(t, derived.Version, extended.Version)
				replayed := s.do(w)
				require.True(t, replayed.Replayed)
				require.Equal(t, timelessReservation(derived), timelessReservation(*replayed.Reservation))
				require.Equal(t, int64(1), s.number(inState, keyOf(created.ID), "ACTIVE"))
				store(s, created.ID)
				require.Equal(t, int64(1), s.number(inState, keyOf(created.ID), "EXPIRED"))
				require.Equal(t, timelessReservation(derived), timelessReservation(s.reservation(created.ID)))
			})
		}
	})
}

// timelessReservation is a reservation without the time of the answer.
func timelessReservation(r models.Reservation) models.Reservation {
	r.ServerTime = time.Time{}
	return r
}
