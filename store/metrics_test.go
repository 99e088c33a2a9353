package store

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// Reads, writes and the work of the components are counted.
func TestMetrics(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		reserved := write(t, s, reserve("h", "x", 2, time.Hour)).Reservation
		write(t, s, reserve("h", "x", 2, time.Hour))
		write(t, s, reserve("much", "x", 9, time.Hour))
		write(t, s, models.Resolve{IdempotencyKey: "c", ID: reserved.ID, To: models.ReservationCommitted})
		eventually(t, func() bool { return cached(read(t, s, "x")) })
		read(t, s, "unknown")
		read(t, s, "unknown") // past Redis only once
		m := measured(t, s)
		for name, want := range map[string]float64{
			"onhand_writes_total{done,Reserve}": 1, "onhand_writes_total{replayed,Reserve}": 1, "onhand_writes_total{refused,Reserve}": 1,
			"onhand_writes_total{done,Resolve}": 1, "onhand_redis_up": 1, "onhand_database_up": 1, "onhand_write_refusals_total{INSUFFICIENT_STOCK}": 1, "onhand_writes_waiting": 0, "onhand_writes_blocked": 0,
		} {
			require.EqualValues(t, want, m[name], name)
		}
		require.GreaterOrEqual(t, m["onhand_write_batch_writes"], 5.0)
		require.Equal(t, m["onhand_write_batch_writes"], m["onhand_write_batch_duration_seconds{committed}"])
		for _, name := range []string{
			"onhand_cache_hits_total", "onhand_cache_misses_total", "onhand_cache_applies_total", "onhand_redis_round_trips_total",
			"onhand_database_reads_total", "onhand_database_connections",
		} {
			require.Positive(t, m[name], name)
		}
		require.Contains(t, m, "onhand_audit_products_total")
		eventually(t, func() bool {
			m := measured(t, s)
			return m["onhand_relay_drained_rows_total"] > 0 && m["onhand_feed_connected"] == 1
		})
	})
}

// Optimistic batches are counted by how they ended, from zero on.
func TestOptimisticBatchMetrics(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: storetest.Postgres(t)})
	const refused, committed = "onhand_optimistic_batches_total{refused}", "onhand_optimistic_batches_total{committed}"
	require.Contains(t, measured(t, s), "onhand_optimistic_batches_total{discarded}")
	require.Zero(t, measured(t, s)[committed])
	stockUp(t, s, 10_000, "x")
	eventually(t, func() bool {
		write(t, s, reserve(rand.Text(), "x", 1, time.Hour))
		return measured(t, s)[committed] > 0
	})
	require.Zero(t, measured(t, s)[refused])
	require.NoError(t, outside(t, s.config.DatabaseURL).Exec("UPDATE products SET low_stock_threshold = 3 WHERE product_id = 'x'").Error)
	write(t, s, reserve(rand.Text(), "x", 1, time.Hour))
	require.EqualValues(t, 1, measured(t, s)[refused], "another writer changed the product")
}
