package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/optimistic"
)

// whileLocked commits a batch while an outside transaction has changed rows and not
// committed. It calls between when the batch waits for them.
func (s *shop) whileLocked(t *testing.T, b *database.OptimisticBatch, change string, between func()) (out models.Outcome, err error) {
	t.Helper()
	tx, err := s.raw.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec(change)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { out, err = b.Commit(context.Background()); close(done) }()
	s.awaitBlocked(t)
	between()
	unlocked := tx.Commit()
	<-done
	require.NoError(t, unlocked)
	return out, err
}

// genericPlanAfter is how often the server runs a prepared statement before it may use
// a generic plan.
const genericPlanAfter = 6

// An optimistic batch locks rows of several products in the order of their ids, wherever
// the table has them, levels before products. A batch that waits for a row has no later
// one locked.
func TestOptimisticBatchLocksInOrder(t *testing.T) {
	for table, column := range map[string]string{"stock_levels": "damaged", "products": "version"} {
		for _, conditional := range []bool{true, false} {
			t.Run(table+map[bool]string{true: ", conditional decrement", false: ", compare-and-set"}[conditional], func(t *testing.T) {
				on(t, []string{postgres}, func(t *testing.T, s *shop) {
					s.exec("INSERT INTO products (product_id, tracked) VALUES ('song', false)")
					s.stock("cup", "north", 1000)
					s.stock("pen", "south", 1000)
					s.do(reserve(line("cup", 1), line("pen", 1), line("song", 1)))
					if conditional {
						s.LongContention()
						s.ExpectContention("cup", "pen")
					}
					// The table is small, so the server scans it from the start, where the pen is
					// now.
					s.exec("INSERT INTO products (product_id) SELECT 'other ' || n FROM generate_series(1, 50) n")
					s.exec("INSERT INTO stock_levels (product_id, location_id) SELECT product_id, 'north' FROM products WHERE product_id LIKE 'other %'")
					s.exec("VACUUM FULL ANALYZE " + table)
					s.exec("UPDATE " + table + " SET " + column + " = " + column + " WHERE product_id = 'cup'")
					// The server's generic plan for batches without levels must not break the order.
					s.SQL.SetMaxOpenConns(1)
					for range genericPlanAfter {
						_, err := s.optimistic(reserve(line("song", 1))).Commit(t.Context())
						require.NoError(t, err)
					}
					b := s.optimistic(reserve(line("pen", 1), line("cup", 1)))
					require.Equal(t, conditional, b.Conditional)
					_, err := s.whileLocked(t, b, "SELECT 1 FROM "+table+" WHERE product_id = 'cup' FOR UPDATE", func() {
						s.exec("SELECT 1 FROM " + table + " WHERE product_id = 'pen' FOR UPDATE NOWAIT")
					})
					require.NoError(t, err)
				})
			})
		}
	}
}

// Where the server's default isolation is stricter, an optimistic batch that waited for
// an outside change is refused, and its units are taken once.
func TestOptimisticBatchUnderStricterIsolation(t *testing.T) {
	for _, level := range []string{"repeatable%20read", "serializable"} {
		for _, conditional := range []bool{true, false} {
			t.Run(level+map[bool]string{true: ", conditional decrement", false: ", compare-and-set"}[conditional], func(t *testing.T) {
				onPostgres(t, func(t *testing.T, s *shop) {
					strict := s.with(t)
					strict.url += "&default_transaction_isolation=" + level
					strict.Database = strict.otherInstance(t)
					strict.do(reserve(line("cup", 1))) // caches the product
					if conditional {
						strict.LongContention()
						strict.ExpectContention("cup")
					}
					b := strict.optimistic(reserve(line("cup", 2)))
					require.Equal(t, conditional, b.Conditional)
					_, err := strict.whileLocked(t, b, "UPDATE stock_levels SET available = 7 WHERE product_id = 'cup'", func() {})
					require.ErrorIs(t, err, optimistic.ErrRefused)
					b.Discard()
					strict.do(reserve(line("cup", 2)))
					require.Equal(t, models.Quantities{Available: 5, Reserved: 3}, s.level("cup", "north"))
				})
			})
		}
	}
}
