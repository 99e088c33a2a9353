package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

func part(product string, n int) models.LinePart {
	return models.LinePart{ProductID: product, Quantity: n}
}

func resolvePart(id string, to models.ReservationState, parts ...models.LinePart) models.Resolve {
	w := resolve(id, to)
	w.Lines = parts
	return w
}

// Committing a part of a reservation releases the rest in the same step, location by
// location in the order of its allocations.
func TestCommitAPart(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 5)
		s.stock("cup", "north", 4)
		r := s.reserved(line("mug", 6), line("cup", 3))
		w := resolvePart(r.ID, models.ReservationCommitted, part("mug", 2), part("mug", 1))
		got := s.ok(w).Reservation
		require.Equal(t, models.ReservationCommitted, got.State)
		require.Equal(t, []models.ReservationLine{
			{ProductID: "mug", Requested: 6, Quantity: 3, Allocations: []models.Allocation{
				{LocationID: "north", Quantity: 2}, {LocationID: "south", Quantity: 1}}},
			{ProductID: "cup", Requested: 3},
		}, got.Lines)
		require.Equal(t, models.Quantities{Committed: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 4, Committed: 1}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{Available: 4}, s.level("cup", "north"))
		for _, m := range s.movements("cup")[2:] {
			require.Equal(t, models.ReasonCommitted, m.Reason)
			require.Equal(t, models.Quantities{Available: 3, Reserved: -3}, m.Delta)
		}
		require.True(t, s.do(w).Replayed)
		s.fails(s.do(resolvePart(r.ID, models.ReservationCommitted, part("mug", 1))), notActive(models.ReservationCommitted))
	})
}

// An order is fulfilled and cancelled in parts. Each unit takes one step, and the order
// stays COMMITTED until nothing is left.
func TestFulfilAndCancelParts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 5)
		s.stock("cup", "north", 4)
		s.stock("gift card")
		s.settings("gift card", "tracked = false")
		r := s.reserved(line("mug", 6), line("cup", 3), line("gift card", 2))
		s.ok(resolve(r.ID, models.ReservationCommitted))

		w := resolvePart(r.ID, models.ReservationFulfilled, part("mug", 3), part("gift card", 1))
		got := s.ok(w).Reservation
		require.Equal(t, models.ReservationCommitted, got.State)
		require.Equal(t, 3, got.Lines[0].Fulfilled)
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2, Done: 2}, {LocationID: "south", Quantity: 4, Done: 1}}, got.Lines[0].Allocations)
		require.Equal(t, models.Quantities{}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 1, Committed: 3}, s.level("mug", "south"))
		require.True(t, s.do(w).Replayed)
		require.Equal(t, models.Quantities{Available: 1, Committed: 3}, s.level("mug", "south"), "once")

		got = s.ok(resolvePart(r.ID, models.ReservationCancelled, part("mug", 1), part("cup", 3))).Reservation
		require.Equal(t, models.ReservationCommitted, got.State)
		require.Equal(t, []int{2, 0, 1}, []int{got.Lines[0].Left(), got.Lines[1].Left(), got.Lines[2].Left()})
		require.Equal(t, models.Quantities{Available: 2, Committed: 2}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{Available: 4}, s.level("cup", "north"))

		before := s.levels()
		refused := s.do(resolvePart(r.ID, models.ReservationFulfilled, part("mug", 2), part("pen", 1), part("cup", 1), part("mug", 1), part("gift card", 1)))
		s.fails(refused, short(0, "mug", 3, 2), notFound("lines", 1, "productId"), short(2, "cup", 1, 0))
		require.Equal(t, got.Lines, refused.Reservation.Lines)
		require.Equal(t, before, s.levels())

		got = s.ok(resolve(r.ID, models.ReservationCancelled)).Reservation // everything left
		require.Equal(t, models.ReservationFulfilled, got.State, "a part was fulfilled")
		require.Equal(t, []int{3, 0, 1}, []int{got.Lines[0].Fulfilled, got.Lines[1].Fulfilled, got.Lines[2].Fulfilled})
		require.Equal(t, []int{3, 3, 1}, []int{got.Lines[0].Cancelled, got.Lines[1].Cancelled, got.Lines[2].Cancelled})
		require.Equal(t, models.Quantities{Available: 4}, s.level("mug", "south"))
		stored := s.reservation(r.ID)
		require.Equal(t, got.Lines, stored.Lines)
		s.fails(s.do(resolve(r.ID, models.ReservationFulfilled)), notActive(models.ReservationFulfilled))
	})
}

// An order of which nothing was fulfilled and all was cancelled, in parts, is CANCELLED.
func TestCancelAllParts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		r := s.reserved(line("mug", 3))
		for _, state := range []models.ReservationState{models.ReservationCommitted, models.ReservationCommitted, models.ReservationCommitted, models.ReservationCancelled} {
			to := models.ReservationCancelled
			w := resolvePart(r.ID, to, part("mug", 1))
			if s.reservation(r.ID).State == models.ReservationActive {
				w = resolve(r.ID, models.ReservationCommitted)
			}
			require.Equal(t, state, s.ok(w).Reservation.State)
		}
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
	})
}

// The form of parts is checked before any stock is read.
func TestCheckOfParts(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]models.LinePart{{}, {part("", 1)}, {part("mug", 0)}, {part("mug", models.QuantityMax+1)}, make([]models.LinePart, models.ReservationLinesMax+1)} {
		require.NotEmpty(t, resolvePart("res_1", models.ReservationCommitted, parts...).Check(reservationTTL))
	}
	require.Empty(t, resolve("res_1", models.ReservationCommitted).Check(reservationTTL))
	require.Empty(t, resolvePart("res_1", models.ReservationFulfilled, part("mug", 1)).Check(reservationTTL))
}
