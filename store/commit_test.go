package store

import (
	"crypto/rand"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// A panic while a commit is published does not keep the callers from their answers.
func TestPublishNeverPanics(t *testing.T) {
	t.Parallel()
	broken := &Store{log: slog.New(slog.DiscardHandler)} // without cache and hub
	require.NotPanics(t, func() { broken.tell(t.Context(), models.Outcome{}) })
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
		write(t, s, hold(rand.Text(), "x", 1, time.Hour))
		return measured(t, s)[committed] > 0
	})
	require.Zero(t, measured(t, s)[refused])
	db, err := sql.Open("pgx", s.config.DatabaseURL)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "UPDATE products SET low_stock_threshold = 3 WHERE product_id = 'x'")
	require.NoError(t, err)
	write(t, s, hold(rand.Text(), "x", 1, time.Hour))
	require.EqualValues(t, 1, measured(t, s)[refused], "another writer changed the product")
}

// A store that starts fills the snapshot cache before the first write.
func TestStartPreloads(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	first := open(t, Config{DatabaseURL: url})
	stockUp(t, first, 10, "x")
	first.Close()
	s := open(t, Config{DatabaseURL: url})
	w := hold(rand.Text(), "x", 1, time.Hour)
	eventually(t, func() bool { return len(s.database.Missing(s.database.Prepare(w))) == 0 })
	write(t, s, w)
}

// Preloading ends at its bound when another transaction keeps the products locked.
func TestPreloadGivesUp(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: storetest.Postgres(t)})
	db, err := sql.Open("pgx", s.config.DatabaseURL)
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE products")
	require.NoError(t, err)
	began := time.Now()
	s.preload(t.Context(), 50*time.Millisecond)
	require.Less(t, time.Since(began), preloadMax)
}
