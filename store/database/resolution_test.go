package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

func update(id string, lines ...models.RequestedLine) models.UpdateReservation {
	return models.UpdateReservation{IdempotencyKey: newKey(), ID: id, Lines: lines}
}

// An update replaces the lines in one step: dropped units are available at once, kept
// units need not be available.
func TestUpdateSwapsLines(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		s.stock("pen", "north", 5)
		r := s.reserved(line("mug", 4), line("cup", 2))
		got := s.ok(update(r.ID, line("mug", 5), line("pen", 1))).Reservation
		require.Equal(t, r.ID, got.ID)
		require.Equal(t, r.Version+2, got.Version, "the version between is that of an expiry")
		require.Equal(t, r.ExpiresAt, got.ExpiresAt, "the update has no time to live")
		require.Equal(t, []int{5, 1}, quantities(got))
		require.Equal(t, models.Quantities{Reserved: 5}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 5}, s.level("cup", "north"))
		require.Equal(t, models.Quantities{Available: 4, Reserved: 1}, s.level("pen", "north"))
		for _, m := range s.movements("cup")[2:] {
			require.Equal(t, models.ReasonUpdated, m.Reason)
			require.Equal(t, r.ID, m.ReservationID)
		}
	})
}

// A refused update leaves the reservation unchanged.
func TestUpdateRefusedKeepsTheReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 1)
		r := s.reserved(line("mug", 3))
		levels := s.levels()
		w := update(r.ID, line("mug", 6), line("cup", 2))
		w.TTL = time.Hour
		refused := s.do(w)
		s.fails(refused, short(0, "mug", 6, 5), short(1, "cup", 2, 1))
		require.Equal(t, r.Lines, refused.Reservation.Lines)
		require.Equal(t, levels, s.levels())
		got := s.reservation(r.ID)
		got.ServerTime = r.ServerTime
		require.Equal(t, *r, got)

		w = update(r.ID, line("mug", 6), line("cup", 2))
		w.AllowPartial = true
		partial := s.do(w)
		s.fails(partial, short(0, "mug", 6, 5), short(1, "cup", 2, 1))
		require.Equal(t, []int{5, 1}, quantities(partial.Reservation))
	})
}

// An update may restart the time to live. It stays within the channel of the
// reservation.
func TestUpdateTimeAndChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 50, "south", 3)
		w := reserve(line("mug", 2))
		w.Channel = "web"
		r := s.ok(w).Reservation
		longer := update(r.ID, line("mug", 3))
		longer.TTL = time.Hour
		got := s.ok(longer).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 3}}, allocations(t, got))
		require.True(t, got.ExpiresAt.After(r.ExpiresAt.Add(30*time.Minute)))
		s.fails(s.do(update(r.ID, line("mug", 4))), short(0, "mug", 4, 3))
		// A deleted channel sells nothing more.
		s.exec("DELETE FROM channels WHERE channel_id = 'web'")
		s.fails(s.do(update(r.ID, line("mug", 4))), short(0, "mug", 4, 3))
		require.Equal(t, []int{3}, quantities(new(s.reservation(r.ID))))
		s.ok(update(r.ID, line("mug", 1)))
		require.Equal(t, models.Quantities{Available: 2, Reserved: 1}, s.level("mug", "south"))
	})
}

// Extending restarts the time to live and changes no level.
func TestExtend(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		r := s.reserved(line("mug", 2))
		levels := s.levels()
		got := s.ok(models.ExtendReservation{ID: r.ID, TTL: time.Hour}).Reservation
		require.Equal(t, time.Hour, got.ExpiresAt.Sub(got.ServerTime))
		require.Equal(t, r.Version+2, got.Version, "the version between is that of an expiry")
		require.Equal(t, levels, s.levels())
	})
}

// An extension without a time to live restarts the one that was asked for last: by
// the reservation, or by an update or extension since.
func TestExtendRestartsTheReservationsOwnTimeToLive(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		w := reserve(line("mug", 2))
		w.TTL = 90 * time.Second
		id := s.ok(w).Reservation.ID
		left := func(w models.Write) time.Duration {
			got := s.ok(w).Reservation
			require.True(t, got.ExpiresAt.Equal(s.reservation(id).ExpiresAt))
			return got.ExpiresAt.Sub(got.ServerTime)
		}
		again := models.ExtendReservation{ID: id}
		require.Equal(t, 90*time.Second, left(again))
		require.Equal(t, 90*time.Second, left(again), "also the second time")
		require.Equal(t, 10*time.Minute, left(models.ExtendReservation{ID: id, TTL: 10 * time.Minute}))
		require.Equal(t, 10*time.Minute, left(again))
		restart := update(id, line("mug", 3))
		restart.TTL = 30 * time.Second
		require.Equal(t, 30*time.Second, left(restart))
		before := s.reservation(id).ExpiresAt
		left(update(id, line("mug", 4)))
		require.True(t, before.Equal(s.reservation(id).ExpiresAt), "an update without one leaves the time alone")
		require.Equal(t, 30*time.Second, left(again))
	})
}

// A release makes all units available, once. A second release is no error, because it
// has no key to be repeated with.
func TestRelease(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1, "south", 5)
		r := s.reserved(line("mug", 4))
		first := s.ok(release(r.ID))
		require.Equal(t, models.ReservationReleased, first.Reservation.State)
		require.False(t, first.Replayed)
		version := s.read("mug").Version
		again := s.ok(release(r.ID))
		require.True(t, again.Replayed)
		require.Equal(t, first.Reservation.Version, again.Reservation.Version)
		require.Equal(t, version, s.read("mug").Version)
		require.Equal(t, models.Quantities{Available: 1}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "south"))
	})
}

// Committed units are no longer available, fulfilled units have left the stock,
// cancelled units are available again.
func TestCommitFulfilCancel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1, "south", 5)
		shipped, dropped := s.reserved(line("mug", 3)), s.reserved(line("mug", 2))
		commit := resolve(shipped.ID, models.ReservationCommitted)
		commit.OrderRef, commit.Actor = "order 7", "shop"
		r := s.ok(commit).Reservation
		require.Equal(t, models.ReservationCommitted, r.State)
		require.Equal(t, "order 7", r.Order)
		s.ok(resolve(dropped.ID, models.ReservationCommitted))
		require.Equal(t, models.Quantities{Available: 1, Committed: 4}, s.level("mug", "south"))

		require.Equal(t, models.ReservationFulfilled, s.ok(resolve(shipped.ID, models.ReservationFulfilled)).Reservation.State)
		require.Equal(t, models.ReservationCancelled, s.ok(resolve(dropped.ID, models.ReservationCancelled)).Reservation.State)
		require.Equal(t, models.Quantities{}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 3}, s.level("mug", "south"))
		require.Equal(t, "order 7", s.reservation(shipped.ID).Order, "the order reference stays")

		var reasons []models.Reason
		for _, m := range s.movements("mug") {
			if m.ReservationID == shipped.ID {
				reasons = append(reasons, m.Reason)
			}
			if m.Reason == models.ReasonCommitted && m.ReservationID == shipped.ID {
				require.Equal(t, []string{"order 7", "shop"}, []string{m.Reference, m.Actor})
			}
			if m.Reason == models.ReasonFulfilled {
				require.Equal(t, "order 7", m.Reference)
			}
		}
		require.Equal(t, []models.Reason{
			models.ReasonReserved, models.ReasonReserved, models.ReasonCommitted, models.ReasonCommitted,
			models.ReasonFulfilled, models.ReasonFulfilled,
		}, reasons)
	})
}

// Each step happens once, and only from the state before it. A refused step returns the
// state, and changes no level.
func TestWrongStateIsRefused(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 100)
		steps := []models.ReservationState{
			models.ReservationCommitted, models.ReservationReleased, models.ReservationFulfilled, models.ReservationCancelled,
		}
		in := map[models.ReservationState]string{}
		for _, state := range append(steps, models.ReservationActive, models.ReservationExpired) {
			r := s.reserved(line("mug", 1))
			in[state] = r.ID
			switch state {
			case models.ReservationCommitted, models.ReservationReleased:
				s.ok(resolve(r.ID, state))
			case models.ReservationFulfilled, models.ReservationCancelled:
				s.ok(resolve(r.ID, models.ReservationCommitted))
				s.ok(resolve(r.ID, state))
			case models.ReservationExpired:
				s.overdue(r.ID)
			}
		}
		levels := s.levels()
		for state, id := range in {
			for _, to := range steps {
				if mayBecome(state, to) || (state == to && to == models.ReservationReleased) {
					continue
				}
				r := s.do(resolve(id, to))
				s.fails(r, notActive(state))
				require.Equal(t, state, r.Reservation.State)
			}
			if state != models.ReservationActive {
				s.fails(s.do(update(id, line("mug", 1))), notActive(state))
				s.fails(s.do(models.ExtendReservation{ID: id, TTL: time.Hour}), notActive(state))
			}
		}
		released := levels[levelKey{"mug", "north"}] // by the refused writes of the expired reservation
		released.Available, released.Reserved = released.Available+1, released.Reserved-1
		levels[levelKey{"mug", "north"}] = released
		require.Equal(t, levels, s.levels())
	})
}

// An id that names no reservation is not found, in any form.
func TestUnknownReservation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		r := s.reserved(line("mug", 1))
		for _, id := range []string{
			"", "res_", "mug", "res_00000000000000000000000000000000", "RES_" + r.ID[4:], "res_" + r.ID[4:35] + "G", r.ID + "0", r.ID[:35],
			"res_zz" + r.ID[6:], " " + r.ID,
		} {
			for _, w := range []models.Write{
				release(id), resolve(id, models.ReservationCommitted), resolve(id, models.ReservationFulfilled),
				resolve(id, models.ReservationCancelled), update(id, line("mug", 1)), models.ExtendReservation{ID: id, TTL: time.Hour},
			} {
				result := s.do(w)
				s.fails(result, notFound("id"))
				require.Nil(t, result.Reservation)
			}
		}
		found, err := s.ReadReservations(t.Context(), []string{"", "mug", "res_00000000000000000000000000000000"})
		require.NoError(t, err)
		require.Empty(t, found)
	})
}
