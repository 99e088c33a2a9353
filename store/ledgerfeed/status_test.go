package ledgerfeed

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest/fixture"
)

// nextStatus reads the next change of status: product, status before, status.
func nextStatus(t *testing.T, watch models.Watch[*models.StockStatusChange]) [3]string {
	t.Helper()
	c := next(t, watch)
	return [3]string{c.ProductID, string(c.PreviousStatus), string(c.Status)}
}

func (l ledger) watchStatus(t *testing.T, channel string, statuses []models.StockStatus, products ...string) models.Watch[*models.StockStatusChange] {
	t.Helper()
	watch, err := l.WatchStatus(t.Context(), channel, statuses, products)
	require.NoError(t, err)
	t.Cleanup(watch.Close)
	return watch
}

// Each change of status arrives with the status before it, whatever moved the
// stock: a write, a reservation, its expiry, an administrator. A movement that
// leaves the status as it is gives nothing, nor does a write that takes as much
// from one location as it adds to another.
func TestStatusChanges(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 10, "x")
		s.StockUp(t, 3, "y")
		require.NoError(t, s.Database.AddCatalogue(t.Context(), database.Catalogue{
			Locations: []models.Location{{LocationID: "b", Name: "B", Priority: 2, Active: true}},
			Channels:  []models.Channel{{ChannelID: "web", Name: "Web", LocationIDs: []string{"b"}}},
		}))
		l := followed(s)
		all := l.watchStatus(t, "", nil)
		out := l.watchStatus(t, "", []models.StockStatus{models.OutOfStock})
		only := l.watchStatus(t, "", nil, "y")
		web := l.watchStatus(t, "web", nil)

		l.write(t, fixture.Receive("1", "x", 1)) // 11: no change
		l.write(t, models.Adjust{IdempotencyKey: "2", Reason: models.ReasonCorrection, Rows: []models.AdjustRow{
			{ProductID: "x", LocationID: "a", State: models.Available, Delta: -11},
			{ProductID: "x", LocationID: "b", State: models.Available, Delta: 11},
		}})
		require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, nextStatus(t, web), "the stock of the channel alone changed")
		l.write(t, fixture.Reserve("3", "x", 8, time.Second))
		require.Equal(t, [3]string{"x", "IN_STOCK", "LOW_STOCK"}, nextStatus(t, all))
		l.Expire(t)
		require.Equal(t, [3]string{"x", "LOW_STOCK", "IN_STOCK"}, nextStatus(t, all), "expired")
		l.write(t, fixture.Receive("4", "y", -3))
		for _, watch := range []models.Watch[*models.StockStatusChange]{all, out, only} {
			require.Equal(t, [3]string{"y", "LOW_STOCK", "OUT_OF_STOCK"}, nextStatus(t, watch))
		}
		if !strings.HasPrefix(s.DatabaseURL, "postgres") {
			return // the rest is what an administrator does
		}
		console := outside(t, s.DatabaseURL)
		require.NoError(t, console.Exec("UPDATE products SET inventory_policy = 'CONTINUE', backorder_limit = 5 WHERE product_id = 'y'").Error)
		l.write(t, fixture.Receive("5", "y", 1))
		require.Equal(t, [3]string{"y", "BACKORDER", "LOW_STOCK"}, nextStatus(t, all), "settings are those of now")
		require.NoError(t, console.Exec("UPDATE stock_levels SET available = -1 WHERE product_id = 'y'").Error)
		require.Equal(t, [3]string{"y", "LOW_STOCK", "BACKORDER"}, nextStatus(t, all), "by an administrator")
		require.NoError(t, console.Exec("DELETE FROM stock_levels WHERE product_id = 'x'").Error)
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, nextStatus(t, all), "a level that was deleted")
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, nextStatus(t, out))
	})
}

// A subscriber that comes late to a burst sees each change as it was then, in
// order, and as many as there were.
func TestStatusesOfABurst(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 10, "x")
		l := followed(s)
		watch := l.watchStatus(t, "", nil)
		for i := range 20 {
			l.write(t, fixture.Receive(strconv.Itoa(2*i), "x", -10))
			l.write(t, fixture.Receive(strconv.Itoa(2*i+1), "x", 10))
		}
		for range 20 {
			require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, nextStatus(t, watch))
			require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, nextStatus(t, watch))
		}
	})
}

// A subscriber that is far behind with one product catches up: a reading adds up
// the later movements once, not once for each change in it.
func TestStatusesFarBehind(t *testing.T) {
	t.Parallel()
	s := fixture.Postgres(t)
	s.StockUp(t, 10, "x")
	watch := followed(s).watchStatus(t, "", nil)
	// Sold out and back, 15,000 times, as by as many transactions.
	require.NoError(t, outside(t, s.DatabaseURL).Exec(`INSERT INTO stock_movements (product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after, reason, version)
		SELECT product_id, location_id, CASE n % 2 WHEN 1 THEN -10 ELSE 10 END, 0, 0, 0, 0, 0, 0,
			CASE n % 2 WHEN 1 THEN 0 ELSE 10 END, 0, 0, 0, 0, 0, 0, 'OTHER', 100 + n
		FROM stock_levels, generate_series(1, 30000) n WHERE product_id = 'x'`).Error)
	for range 300 { // more than one reading
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, nextStatus(t, watch))
		require.Equal(t, [3]string{"x", "OUT_OF_STOCK", "IN_STOCK"}, nextStatus(t, watch))
	}
}

// failingSource fails the first evaluations.
type failingSource struct {
	LedgerSource
	failures int
}

func (s *failingSource) ReadStocksAfter(ctx context.Context, refs []database.MovementRef) ([]*models.Stock, error) {
	if s.failures > 0 {
		s.failures--
		return nil, models.Unavailable("away", nil)
	}
	return s.LedgerSource.ReadStocksAfter(ctx, refs)
}

// A status watch whose evaluation fails keeps its changes and evaluates them
// again.
func TestStatusEvaluationIsRetried(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 10, "x")
		l := followed(s)
		l.source = &failingSource{LedgerSource: s.Database, failures: 2}
		watch := l.watchStatus(t, "", nil)
		l.write(t, fixture.Receive("1", "x", -10))
		require.Equal(t, [3]string{"x", "IN_STOCK", "OUT_OF_STOCK"}, nextStatus(t, watch))
	})
}
