package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// reacquire commits a reservation, also after its expiry.
func reacquire(id string, parts ...models.LinePart) models.Resolve {
	w := resolvePart(id, models.ReservationCommitted, parts...)
	w.Reacquire, w.OrderRef, w.Actor = true, "order 7", "shop"
	return w
}

// missing is the error of a product that cannot be had again.
func missing(product string, requested, available int, at ...any) models.UserError {
	return models.InsufficientStockError{Failure: path(at...), ProductID: product, Requested: requested, Available: available}
}

// expired ends reservations: by the sweeper, or by their time alone.
func (s *shop) expired(swept bool, ids ...string) {
	s.t.Helper()
	s.overdue(ids...)
	if swept {
		for len(s.sweep(1000)) > 0 {
		}
	}
}

// eachExpiry runs a test after the sweep of expired reservations, and before it.
func eachExpiry(t *testing.T, test func(t *testing.T, s *shop, swept bool)) {
	t.Helper()
	for name, swept := range map[string]bool{"swept": true, "not swept": false} {
		t.Run(name, func(t *testing.T) {
			onEvery(t, func(t *testing.T, s *shop) { test(t, s, swept) })
		})
	}
}

// An order that was paid after the reservation had expired takes its units again, once.
func TestReacquire(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.stock("mug", "north", 3, "south", 2)
		s.stock("cup", "north", 4)
		r := s.reserved(line("mug", 4), line("cup", 1))
		s.expired(swept, r.ID)
		if swept { // a refusal ends the reservation, as the sweeper does
			s.fails(s.do(resolve(r.ID, models.ReservationCommitted)), notActive(models.ReservationExpired))
		}
		before := s.reservation(r.ID).Version

		w := reacquire(r.ID)
		got := s.ok(w).Reservation
		require.Equal(t, models.ReservationCommitted, got.State)
		require.Equal(t, "order 7", got.Order)
		require.Greater(t, got.Version, before)
		require.Equal(t, []int{4, 1}, quantities(got))
		require.Equal(t, 5, got.Left())
		require.Equal(t, models.Quantities{Committed: 3}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 1, Committed: 1}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{Available: 3, Committed: 1}, s.level("cup", "north"))
		moved := s.movements("cup")
		m := moved[len(moved)-1]
		require.Equal(t, models.ReasonCommitted, m.Reason)
		require.Equal(t, models.Quantities{Available: -1, Committed: 1}, m.Delta)
		require.Equal(t, []string{"order 7", "shop", r.ID}, []string{m.Reference, m.Actor, m.ReservationID})

		levels := s.levels()
		again := s.ok(w)
		require.True(t, again.Replayed)
		require.Equal(t, models.ReservationCommitted, again.Reservation.State)
		s.fails(s.do(reacquire(r.ID)), notActive(models.ReservationCommitted))
		require.Equal(t, levels, s.levels())
		require.Equal(t, models.ReservationFulfilled, s.ok(resolve(r.ID, models.ReservationFulfilled)).Reservation.State)
		require.Equal(t, models.Quantities{Available: 3}, s.level("cup", "north"))
	})
}

// When units are gone, every shortage is reported and nothing is taken. Once they are
// there again, another attempt takes them.
func TestReacquireIsAllOrNothing(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.stock("mug", "north", 4)
		s.stock("cup", "north", 4)
		s.stock("pen", "north", 4)
		r := s.reserved(line("mug", 3), line("cup", 3), line("pen", 1))
		s.expired(swept, r.ID)
		other := s.reserved(line("mug", 2), line("cup", 4))
		levels := s.levels()
		refused := s.do(reacquire(r.ID))
		s.fails(refused, missing("mug", 3, 2, "id"), missing("cup", 3, 0, "id"))
		require.Equal(t, models.ReservationExpired, refused.Reservation.State)
		require.Contains(t, refused.Errors[0].GetMessage(), `only 2 of "mug" can be had, not 3: the rest is sold out`)
		s.fails(s.do(reacquire(r.ID, part("pen", 1), part("mug", 1), part("mug", 2))), missing("mug", 3, 2, "lines", 1, "quantity"))
		s.fails(s.do(reacquire(r.ID, part("pen", 2), part("jug", 1))), missing("pen", 2, 1, "lines", 0, "quantity"), notFound("lines", 1, "productId"))
		require.Equal(t, levels, s.levels())
		require.Equal(t, models.ReservationExpired, s.reservation(r.ID).State)

		s.ok(release(other.ID))
		got := s.ok(reacquire(r.ID, part("pen", 1), part("mug", 2))).Reservation
		require.Equal(t, []int{2, 0, 1}, quantities(got))
		require.Equal(t, models.Quantities{Available: 2, Committed: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 4}, s.level("cup", "north"))
	})
}

// The units come from the reservation's channel, and from the locations that its lines
// named; those of other lines may come from elsewhere now. The maximum of one
// reservation counted when it was made.
func TestReacquireWhereItWasReserved(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.stock("mug", "north", 9, "south", 3)
		w := reserve(line("mug", 3))
		w.Channel = "web"
		inChannel := s.ok(w).Reservation
		s.expired(swept, inChannel.ID)
		s.ok(counted(row("mug", "south", models.Available, 2)))
		s.fails(s.do(reacquire(inChannel.ID)), missing("mug", 3, 2, "id"))

		s.stock("mug", "north", 9, "south", 3)
		named := s.reserved(pinned("mug", 2, "south"), line("mug", 4))
		s.expired(swept, named.ID)
		s.stock("mug", "north", 1, "south", 3)
		s.ok(locations(models.LocationRow{LocationID: "far", Active: new(true)}))
		s.stock("mug", "far", 9)
		s.ok(products(models.ProductRow{ProductID: "mug", MaxPerReservation: given(1)}))
		got := s.ok(reacquire(named.ID)).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 3}, {LocationID: "north", Quantity: 1}, {LocationID: "far", Quantity: 2}}, allocations(t, got))

		s.ok(products(models.ProductRow{ProductID: "mug", MaxPerReservation: cleared[int]()}))
		s.stock("mug", "north", 9, "south", 3)
		gone := s.reserved(pinned("mug", 2, "south"), line("mug", 1))
		s.expired(swept, gone.ID)
		s.stock("mug", "south", 1)
		s.fails(s.do(reacquire(gone.ID)), missing("mug", 3, 2, "id"))
		got = s.ok(reacquire(gone.ID, part("mug", 1))).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 1}}, allocations(t, got), "the named ones first")
	})
}

// Expired reservations of others count for nothing, whether or not they were swept.
func TestReacquireEndsOverdueReservations(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.stock("mug", "north", 3)
		mine := s.reserved(line("mug", 3))
		s.expired(swept, mine.ID)
		others := s.reserved(line("mug", 3))
		s.expired(false, others.ID)
		require.Equal(t, models.ReservationCommitted, s.ok(reacquire(mine.ID)).Reservation.State)
		require.Equal(t, models.Quantities{Committed: 3}, s.level("mug", "north"))
		s.fails(s.do(reacquire(others.ID)), missing("mug", 3, 0, "id"))
	})
}

// An active reservation is committed as ever. One that was released, cancelled or
// fulfilled is not taken again.
func TestReacquireTakesOnlyWhatHasExpired(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		active := s.reserved(line("mug", 2))
		require.Equal(t, models.ReservationCommitted, s.ok(reacquire(active.ID)).Reservation.State)
		require.Equal(t, models.Quantities{Available: 7, Committed: 2}, s.level("mug", "north"))
		s.ok(resolve(active.ID, models.ReservationCancelled))
		released := s.reserved(line("mug", 2))
		s.ok(release(released.ID))
		s.fails(s.do(reacquire(active.ID)), notActive(models.ReservationCancelled))
		s.fails(s.do(reacquire(released.ID)), notActive(models.ReservationReleased))
		s.fails(s.do(reacquire("res_00000000000000000000000000000000")), notFound("id"))
		require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "north"))
	})
}

// What can be sold on backorder, and what is not tracked, can be had again.
func TestReacquireOnBackorder(t *testing.T) {
	eachExpiry(t, func(t *testing.T, s *shop, swept bool) {
		s.preorder("soon", 5)
		s.ok(products(models.ProductRow{ProductID: "card", Tracked: new(false)}))
		r := s.reserved(line("soon", 4), line("card", 2))
		s.expired(swept, r.ID)
		s.exec("DELETE FROM stock_levels WHERE product_id = 'soon' AND reserved = 0")
		s.ok(reacquire(r.ID))
		require.Equal(t, models.Quantities{Available: -4, Committed: 4}, s.level("soon", "north"))
		s.ok(resolve(r.ID, models.ReservationCancelled))
	})
}
