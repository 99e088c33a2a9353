package database_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/dialect"
)

// The bounds in these tests: lines of a reservation, of reservations that expire in one
// transaction, and of a batch.
const (
	largeLines   = 20
	largeExpired = 2 * largeLines
	largeBatch   = 5 * largeLines
)

// largeReservations makes n reservations of many lines that take all units of every
// product.
func (s *shop) largeReservations(n int) (ids []string) {
	s.t.Helper()
	s.SetLines(largeExpired, largeBatch)
	lines := make([]models.RequestedLine, largeLines)
	catalogue := database.Catalogue{}
	for i := range lines {
		lines[i] = line(fmt.Sprintf("part %04d", i), 1)
		catalogue.Products = append(catalogue.Products, models.Product{ProductID: lines[i].ProductID})
	}
	require.NoError(s.t, s.AddCatalogue(s.t.(*testing.T).Context(), catalogue))
	var rows []models.AdjustRow
	for _, l := range lines {
		rows = append(rows, delta(l.ProductID, "north", models.Available, n))
	}
	s.ok(adjust(rows...))
	for range n {
		ids = append(ids, s.reserved(lines...).ID)
	}
	return ids
}

// A batch whose reservations have too many lines together is refused whole, before any
// level is read. Its halves are not.
func TestBatchTooLarge(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		var commits []models.Write
		for _, id := range s.largeReservations(6) {
			commits = append(commits, resolve(id, models.ReservationCommitted))
		}
		_, err := s.WriteUnderLock(t.Context(), commits)
		require.ErrorIs(t, err, dialect.ErrTooLarge)
		require.Equal(t, models.Quantities{Reserved: 6}, s.level("part 0000", "north"))
		s.batch(commits[:3]...)
		s.batch(commits[3:]...)
		require.Equal(t, models.Quantities{Committed: 6}, s.level("part 0000", "north"))
	})
}

// Large expired reservations are released a few at a time, by the sweeper and for a
// short reservation.
func TestLargeReservationsExpire(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.largeReservations(9)
		s.allOverdue()
		ended := 0
		for _, out := range s.sweeps(5) {
			require.LessOrEqual(t, len(out.Reservations), largeExpired/largeLines)
			ended += len(out.Reservations)
		}
		require.Equal(t, 5, ended)
		s.reserved(line("part 0019", 9))
		require.Equal(t, models.Quantities{Available: 9}, s.level("part 0000", "north"))
		require.Empty(t, s.sweeps(1000))
	})
}
