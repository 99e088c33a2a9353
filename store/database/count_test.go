package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// A count of what is available is what is available: a hold that was over
// before it does not give its units back on top, and a belief that counts them
// as held is stale.
func TestCountEndsExpiredReservations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		set := func(row models.SetRow) models.SetStock {
			row.ProductID, row.LocationID, row.State = "mug", "north", models.Available
			return models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{row}, Reason: models.ReasonCycleCount}
		}
		s.stock("mug", "north", 10)
		s.overdue(s.reserved(line("mug", 2)).ID)
		s.ok(set(models.SetRow{Quantity: 7, IgnoreStale: true}))
		require.Empty(t, s.sweep(10), "the hold ended before the count")
		require.Equal(t, models.Quantities{Available: 7}, s.level("mug", "north"))

		s.overdue(s.reserved(line("mug", 2)).ID)
		r := s.do(set(models.SetRow{Quantity: 9, ChangeFromQuantity: new(5)}))
		require.Len(t, r.Errors, 1)
		require.Equal(t, 7, r.Errors[0].(models.StaleQuantityError).Actual)
		s.ok(set(models.SetRow{Quantity: 9, ChangeFromQuantity: new(7)}))
		require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "north"))
	})
}
