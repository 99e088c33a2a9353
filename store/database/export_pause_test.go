package database_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// An export whose reader pauses for longer than tcp_user_timeout goes on after that: Linux
// ends a connection on which the client accepts no data for so long.
func TestExportIsReadLater(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "onhand"))
	const products = 40_000
	s := openShop(t, postgres, server.DSN("onhand"))
	s.stock("a", "north", 1)
	_, err := s.SQL.ExecContext(t.Context(), fmt.Sprintf(
		"INSERT INTO products (product_id, title) SELECT 'p' || n, '%s' FROM generate_series(1, %d) n", strings.Repeat("x", 400), products))
	require.NoError(t, err)
	_, err = s.SQL.ExecContext(t.Context(), "ALTER ROLE CURRENT_USER SET tcp_user_timeout = '500ms'")
	require.NoError(t, err)

	db := openOnly(t, server.DSN("onhand"))
	exported := 0
	require.NoError(t, db.EachStock(t.Context(), func([]models.Location, int) error { return nil }, func(*models.Stock) error {
		if exported++; exported == 1 {
			time.Sleep(3 * time.Second) // much longer
		}
		return nil
	}))
	require.Equal(t, products+1, exported)
}
