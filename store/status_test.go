package store

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// awaitStatus reads the next change of status.
func awaitStatus(t *testing.T, watch models.Watch[*models.Stock]) [3]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := watch.Next(ctx)
	require.NoError(t, err)
	return [3]string{s.ProductID, string(*s.PreviousStatus), string(s.Status())}
}

func watchStatus(t *testing.T, s *Store, channel string, statuses []models.StockStatus, products ...string) models.Watch[*models.Stock] {
	t.Helper()
	watch, err := s.WatchStatus(t.Context(), channel, statuses, products)
	require.NoError(t, err)
	t.Cleanup(watch.Close)
	return watch
}

// Each change of status arrives with the one before, whatever moved the stock:
// a write, a hold, its expiry, somebody with psql. What leaves the status as it
// is arrives nowhere, nor does what one write takes from here and puts there.
func TestWatchStatus(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		locations := []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}, {LocationID: "b", Name: "B", Priority: 2, Active: true}}
		rows := []models.OpeningRow{{ProductID: "x", LocationID: "a", Available: 10}, {ProductID: "y", LocationID: "a", Available: 3}}
		require.NoError(t, s.ImportOpening(t.Context(), rows, locations, []models.Channel{{ChannelID: "web", Name: "Web", LocationIDs: []string{"b"}}}, nil))
		eventually(t, func() bool { _, known := s.Directory().Channel("web"); return known })
		all := watchStatus(t, s, "", nil)
		out := watchStatus(t, s, "", []models.StockStatus{models.OutOfStock})
		only := watchStatus(t, s, "", nil, "y")
		web := watchStatus(t, s, "web", nil)

		write(t, s, receive("1", "x", 1)) // 11: silent
		write(t, s, models.Adjust{IdempotencyKey: "2", Reason: models.ReasonCorrection, Rows: []models.AdjustRow{
			{ProductID: "x", LocationID: "a", State: models.Available, Delta: -11},
			{ProductID: "x", LocationID: "b", State: models.Available, Delta: 11},
		}})
		require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, awaitStatus(t, web), "the channel's stock alone came")
		write(t, s, hold("3", "x", 8, time.Second))
		require.Equal(t, [3]string{"x", "IN_STOCK", "LOW_STOCK"}, awaitStatus(t, all))
		require.Equal(t, [3]string{"x", "LOW_STOCK", "IN_STOCK"}, awaitStatus(t, all), "expired")
		write(t, s, receive("4", "y", -3))
		for _, watch := range []models.Watch[*models.Stock]{all, out, only} {
			require.Equal(t, [3]string{"y", "LOW_STOCK", "OUT_OF_STOCK"}, awaitStatus(t, watch))
		}
		if !strings.HasPrefix(s.config.DatabaseURL, "postgres") {
			return // nobody else has a memory's tables
		}
		dba := outside(t, s.config.DatabaseURL)
		require.NoError(t, dba.Exec("UPDATE products SET inventory_policy = 'CONTINUE', backorder_limit = 5 WHERE product_id = 'y'").Error)
		write(t, s, receive("5", "y", 1))
		require.Equal(t, [3]string{"y", "BACKORDER", "LOW_STOCK"}, awaitStatus(t, all), "settings are today's")
		require.NoError(t, dba.Exec("UPDATE stock_levels SET available = -1 WHERE product_id = 'y'").Error)
		require.Equal(t, [3]string{"y", "LOW_STOCK", "BACKORDER"}, awaitStatus(t, all), "by somebody else")
		require.NoError(t, dba.Exec("DELETE FROM stock_levels WHERE product_id = 'x'").Error)
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, awaitStatus(t, all), "a level taken away")
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, awaitStatus(t, out))
	})
}

// A watcher that comes late to a burst sees each change as it was then, in
// order, and as many as there were.
func TestStatusesOfABurst(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 10, "x")
		watch := watchStatus(t, s, "", nil)
		for i := range 20 {
			write(t, s, receive(strconv.Itoa(2*i), "x", -10))
			write(t, s, receive(strconv.Itoa(2*i+1), "x", 10))
		}
		for range 20 {
			require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, awaitStatus(t, watch))
			require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, awaitStatus(t, watch))
		}
	})
}

// A watcher that is far behind with one product catches up: a reading costs
// what came later once, not once for each change in it.
func TestStatusesFarBehind(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		if !strings.HasPrefix(s.config.DatabaseURL, "postgres") {
			t.Skip("nobody else can write so much at once")
		}
		stockUp(t, s, 10, "x")
		watch := watchStatus(t, s, "", nil)
		// Sold out and back, 15,000 times, as by as many transactions.
		require.NoError(t, outside(t, s.config.DatabaseURL).Exec(`INSERT INTO stock_movements (product_id, location_id,
			available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
			available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after, reason, version)
			SELECT product_id, location_id, CASE n % 2 WHEN 1 THEN -10 ELSE 10 END, 0, 0, 0, 0, 0, 0,
				CASE n % 2 WHEN 1 THEN 0 ELSE 10 END, 0, 0, 0, 0, 0, 0, 'OTHER', 100 + n
			FROM stock_levels, generate_series(1, 30000) n WHERE product_id = 'x'`).Error)
		for range 300 { // more than one reading
			require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, awaitStatus(t, watch))
			require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, awaitStatus(t, watch))
		}
	})
}
