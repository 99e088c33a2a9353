package store

import (
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Somebody wrote what we cannot read into the row of one product. It alone
// fails; who asks for it together with others gets those, changes of others are
// carried, and nothing older of it stays in Redis. Once mended it is as before.
func TestBrokenProduct(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	s := open(t, Config{DatabaseURL: "sqlite:" + path})
	ids := numbered(100)
	stockUp(t, s, 5, ids...)
	drained(t, s)
	stocks, err := s.Stocks(t.Context(), ids)
	require.NoError(t, err)
	require.Len(t, stocks, 100)
	byHand, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer byHand.Close()
	_, err = byHand.Exec("UPDATE products SET tracked = 'perhaps' WHERE product_id = 'p042'")
	require.NoError(t, err)
	_, err = byHand.Exec("UPDATE stock_levels SET available = 6 WHERE product_id = 'p043'")
	require.NoError(t, err)

	eventually(t, func() bool { return read(t, s, "p043").Quantity() == 6 })
	drained(t, s)
	require.EqualValues(t, 1, s.relay.Stats().PoisonProducts)
	forgetCache(t, s)
	selects := s.database.Reads()
	stocks, err = s.Stocks(t.Context(), ids)
	var unreadable *models.PoisonRowsError
	require.ErrorAs(t, err, &unreadable)
	require.Len(t, unreadable.Causes, 1)
	require.Contains(t, unreadable.Causes, "p042")
	require.Equal(t, models.CodeInternal, models.CodeOf(err))
	for i, stock := range stocks {
		require.Equal(t, ids[i] == "p042", stock == nil, ids[i])
	}
	require.LessOrEqual(t, s.database.Reads()-selects, int64(30), "found by halves")
	_, err = s.FreshStock(t.Context(), "p042")
	require.Error(t, err)

	_, err = byHand.Exec("UPDATE products SET tracked = 1 WHERE product_id = 'p042'")
	require.NoError(t, err)
	eventually(t, func() bool { return s.relay.Stats().PoisonProducts == 0 })
	require.Equal(t, 5, read(t, s, "p042").Quantity())
}

// Far more broken rows than one look can find: what was not reached is an
// error too, never "unknown", and the SELECTs are bounded.
func TestManyBrokenProducts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	s := open(t, Config{DatabaseURL: "sqlite:" + path})
	ids := numbered(100)
	stockUp(t, s, 5, ids...)
	byHand, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer byHand.Close()
	_, err = byHand.Exec("UPDATE products SET tracked = 'perhaps' WHERE product_id > 'p'")
	require.NoError(t, err)
	selects := s.database.Reads()
	read, broken, err := s.readApart(t.Context(), ids)
	require.NoError(t, err)
	require.Empty(t, read.Stocks)
	require.Len(t, broken, len(ids))
	for id, cause := range broken {
		require.Error(t, cause, id)
	}
	require.LessOrEqual(t, s.database.Reads()-selects, int64(3*apartMax), "the relay and the reader look too")
}
