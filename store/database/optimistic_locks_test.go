package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// whileLocked carries a plan out while somebody else has changed rows and not
// committed yet; between happens once the plan waits for them.
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

// preparedAfter is how often the server runs a statement at least before it keeps
// a plan of it.
const preparedAfter = 6

// Rows of several products are locked in order of their ids, wherever they lie in
// their tables, levels before products: who waits for one has none that comes
// later.
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
					// So few rows that the server reads the table from its beginning, where the
					// pen is now.
					s.exec("INSERT INTO products (product_id) SELECT 'other ' || n FROM generate_series(1, 50) n")
					s.exec("INSERT INTO stock_levels (product_id, location_id) SELECT product_id, 'north' FROM products WHERE product_id LIKE 'other %'")
					s.exec("VACUUM FULL ANALYZE " + table)
					s.exec("UPDATE " + table + " SET " + column + " = " + column + " WHERE product_id = 'cup'")
					// What the server has prepared for plans without any level is not for these.
					s.SQL.SetMaxOpenConns(1)
					for range preparedAfter {
						_, err := s.optimistic(reserve(line("song", 1))).Commit(t.Context())
						require.NoError(t, err)
					}
					b := s.optimistic(reserve(line("pen", 1), line("cup", 1)))
					require.Equal(t, conditional, b.Contended())
					_, err := s.whileLocked(t, b, "SELECT 1 FROM "+table+" WHERE product_id = 'cup' FOR UPDATE", func() {
						s.exec("SELECT 1 FROM " + table + " WHERE product_id = 'pen' FOR UPDATE NOWAIT")
					})
					require.NoError(t, err)
				})
			})
		}
	}
}

// Where the server's default isolation is a stricter one, a plan that waited for
// somebody else's change is refused, and what it took is not taken twice.
func TestOptimisticBatchUnderStricterIsolation(t *testing.T) {
	for _, level := range []string{"repeatable%20read", "serializable"} {
		for _, conditional := range []bool{true, false} {
			t.Run(level+map[bool]string{true: ", conditional decrement", false: ", compare-and-set"}[conditional], func(t *testing.T) {
				onPostgres(t, func(t *testing.T, s *shop) {
					strict := s.with(t)
					strict.url += "&default_transaction_isolation=" + level
					strict.Database = strict.otherInstance(t)
					strict.do(reserve(line("cup", 1))) // remembered from then on
					if conditional {
						strict.LongContention()
						strict.ExpectContention("cup")
					}
					b := strict.optimistic(reserve(line("cup", 2)))
					require.Equal(t, conditional, b.Contended())
					_, err := strict.whileLocked(t, b, "UPDATE stock_levels SET available = 7 WHERE product_id = 'cup'", func() {})
					require.ErrorIs(t, err, database.ErrRefused)
					b.Discard()
					strict.do(reserve(line("cup", 2)))
					require.Equal(t, models.Quantities{Available: 5, Reserved: 3}, s.level("cup", "north"))
				})
			})
		}
	}
}
