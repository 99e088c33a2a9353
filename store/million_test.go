package store

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// manyProducts is how many products a change of a channel is measured with.
var manyProducts = flag.Int("products", 10_000, "products of TestChangeOfAChannelOfManyProducts")

// fillProducts adds products p1 to pN with stock at locations a and b, past the
// triggers, as a shop has had them for long.
func fillProducts(t *testing.T, s *Store, n int) {
	t.Helper()
	pool := s.database.SQL
	if url := storetest.AdministratorURL(s.config.DatabaseURL); url != s.config.DatabaseURL {
		var err error
		pool, err = outside(t, url).DB()
		require.NoError(t, err)
	}
	tx, err := pool.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	before, after := "UPDATE onhand_writer SET active = 1", "UPDATE onhand_writer SET active = 0"
	if strings.HasPrefix(s.config.DatabaseURL, "postgres") {
		before, after = "SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = origin"
	}
	numbers := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n)
	for _, query := range []string{
		before,
		"INSERT INTO products (product_id) " + numbers + "SELECT 'p' || i FROM n",
		"INSERT INTO stock_levels (product_id, location_id, available) " + numbers + "SELECT 'p' || i, 'a', 5 FROM n",
		"INSERT INTO stock_levels (product_id, location_id, available) " + numbers + "SELECT 'p' || i, 'b', 3 FROM n",
		"DELETE FROM outbox", after,
	} {
		_, err := tx.ExecContext(t.Context(), query)
		require.NoError(t, err, query)
	}
	require.NoError(t, tx.Commit())
}

// A change of a channel writes no row of a product and reaches a watch at once,
// whatever the number of products. -products sets it.
func TestChangeOfAChannelOfManyProducts(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 1, "x")
		require.Empty(t, write(t, s, models.UpsertLocations{IdempotencyKey: "b", Rows: []models.LocationRow{{LocationID: "b"}}}).Errors)
		drained(t, s)
		fillProducts(t, s, *manyProducts)
		write(t, s, channelOf("0", "a"))
		watch, err := s.WatchView(t.Context(), []string{"p7"}, "web")
		require.NoError(t, err)
		defer watch.Close()
		awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == 5 })
		number := func(query string) (n int64) {
			require.NoError(t, s.database.SQL.QueryRowContext(t.Context(), query).Scan(&n))
			return n
		}
		versions := number("SELECT sum(version) FROM products")
		var slowest time.Duration
		for i := range 20 {
			row, want := models.ChannelRow{ChannelID: "web", LocationIDs: []string{"a", "b"}, Buffer: new(i / 4)}, 8-i/4
			if i%2 == 1 {
				row.LocationIDs, want = []string{"b"}, max(0, 3-i/4)
			}
			began := time.Now()
			require.Empty(t, write(t, s, models.UpsertChannels{IdempotencyKey: fmt.Sprint("change ", i), Rows: []models.ChannelRow{row}}).Errors)
			awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == want })
			slowest = max(slowest, time.Since(began))
		}
		t.Logf("%d products: the slowest of 20 changes took %s", *manyProducts, slowest)
		require.Less(t, slowest, 5*time.Second)
		require.Equal(t, versions, number("SELECT sum(version) FROM products"))
		require.Zero(t, number("SELECT count(*) FROM outbox"))
	})
}
