package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/models/poison"
	"onhand/store/storetest"
)

// An unknown product is cached as such for a moment, until it is added.
func TestUnknownProduct(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		// Once the known ids are loaded, only the second read of an unknown one writes an entry.
		eventually(t, func() bool { return read(t, s, "later") == nil && s.cache.Stats().Fills > 0 })
		before := s.database.Reads()
		eventually(t, func() bool {
			return read(t, s, "later") == nil && s.cache.Stats().NegativeHits > 0
		})
		require.LessOrEqual(t, s.database.Reads()-before, int64(1))
		stockUp(t, s, 3, "later")
		eventually(t, func() bool { stock := read(t, s, "later"); return stock != nil && stock.Quantity() == 3 })
	})
}

// A client that writes reads its own write, also when Redis does not have it yet.
func TestReadYourWrites(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 0, "x")
		for i := range 50 {
			write(t, s, receive(fmt.Sprint("k", i), "x", 1))
			require.Equal(t, i+1, read(t, s, "x").Quantity())
		}
	})
}

// A client that closes a location reads at once that its units are not for sale, although
// only the relay brings the products there to Redis.
func TestReadYourClosedLocation(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		s.FreshDirectory(t.Context())
		eventually(t, func() bool { return cached(read(t, s, "x")) })
		for _, active := range []bool{false, true, false} {
			row := models.LocationRow{LocationID: "a", Active: &active}
			write(t, s, models.UpsertLocations{IdempotencyKey: rand.Text(), Rows: []models.LocationRow{row}})
			stock := read(t, s, "x")
			require.Equal(t, active, stock.Levels[0].Active)
			require.Equal(t, active, stock.AvailableForSale())
		}
	})
}

// A page that a client shares with others has the channel's settings that this client wrote,
// although the first of them has asked before.
func TestSharedPageHasTheNewestChannel(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		write(t, s, channelOf("1", "a"))
		asked, filter := paging.Request{First: 5}, paging.ProductQuery{Channel: "web", Statuses: []models.StockStatus{models.OutOfStock}}
		inFlight, end := make(chan struct{}), make(chan struct{})
		go func() {
			_, _ = s.pages.Load(context.Background(), filter.Key(asked), func(context.Context) (paging.ProductPage, error) {
				close(inFlight)
				<-end
				return paging.ProductPage{}, nil
			})
		}()
		<-inFlight
		found := make(chan int, 2)
		ask := func() {
			page, _ := s.Products(context.Background(), asked, filter)
			found <- len(page.Products)
		}
		go ask()
		// No event says that a caller has looked at the channel and waits. On a machine too slow for the
		// pauses the test proves less, and does not fail.
		time.Sleep(100 * time.Millisecond)
		buffer := 5
		write(t, s, models.UpsertChannels{IdempotencyKey: "2", Rows: []models.ChannelRow{{ChannelID: "web", Buffer: &buffer}}})
		go ask()
		time.Sleep(100 * time.Millisecond)
		close(end)
		require.Equal(t, 1, <-found)
		require.Equal(t, 1, <-found)
	})
}

// Redis has an old value, and the write that should have replaced it failed. The
// client that wrote still reads its own write.
func TestReadYourWritePastAFailedApply(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:", RedisURL: storetest.Redis(t).URL()})
	stockUp(t, s, 5, "x")
	eventually(t, func() bool { return cached(read(t, s, "x")) })
	quiet(t, s) // no relay repairs Redis
	require.NoError(t, administrator(t, s).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	write(t, s, receive("k", "x", 2))
	require.Equal(t, "5", s.clients[0].HGet(t.Context(), s.cache.Keys().Stock("x"), "quantity").Val(), "Redis missed the write")
	require.Equal(t, 7, read(t, s, "x").Quantity())
}

// A row of one product cannot be read. That product alone fails: products that are
// asked for together with it are answered, their changes are published, and no
// older value of it stays in Redis. Once the row is mended all is as before.
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
	raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Exec("UPDATE products SET tracked = 'perhaps' WHERE product_id = 'p042'")
	require.NoError(t, err)
	_, err = raw.Exec("UPDATE stock_levels SET available = 6 WHERE product_id = 'p043'")
	require.NoError(t, err)

	eventually(t, func() bool { return read(t, s, "p043").Quantity() == 6 })
	drained(t, s)
	require.EqualValues(t, 1, s.relay.Stats().PoisonProducts)
	emptyCache(t, s)
	selects := s.database.Reads()
	stocks, err = s.Stocks(t.Context(), ids)
	var unreadable *poison.RowsError
	require.ErrorAs(t, err, &unreadable)
	require.Len(t, unreadable.Causes, 1)
	require.Contains(t, unreadable.Causes, "p042")
	require.Equal(t, models.CodeInternal, models.CodeOf(err))
	for i, stock := range stocks {
		require.Equal(t, ids[i] == "p042", stock == nil, ids[i])
	}
	require.LessOrEqual(t, s.database.Reads()-selects, int64(30), "found by bisection")
	_, err = s.FreshStock(t.Context(), "p042")
	require.Error(t, err)

	_, err = raw.Exec("UPDATE products SET tracked = 1 WHERE product_id = 'p042'")
	require.NoError(t, err)
	eventually(t, func() bool { return s.relay.Stats().PoisonProducts == 0 })
	require.Equal(t, 5, read(t, s, "p042").Quantity())
}

// A product without a level that may be owed is for sale on backorder while a location
// is open, as a reservation finds: from the database, from Redis and to watchers.
func TestPreorderIsForSale(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		policy := models.Continue
		write(t, s, models.UpsertProducts{IdempotencyKey: "1", Rows: []models.ProductRow{{ProductID: "soon", InventoryPolicy: &policy}}})
		fresh := func() *models.Stock {
			stock, err := s.FreshStock(t.Context(), "soon")
			require.NoError(t, err)
			return stock
		}
		open := func(key string, active bool) {
			result := write(t, s, models.UpsertLocations{IdempotencyKey: key, Rows: []models.LocationRow{{LocationID: "a", Active: &active}}})
			require.Empty(t, result.Errors)
		}
		cached := func() *models.Stock {
			eventually(t, func() bool { return cached(read(t, s, "soon")) })
			return read(t, s, "soon")
		}
		watched := func() *models.Stock {
			watch, err := s.WatchStock(t.Context(), []string{"soon"})
			require.NoError(t, err)
			defer watch.Close()
			return awaitStock(t, watch, func(*models.Stock) bool { return true })
		}
		listed := func(status models.StockStatus) bool {
			page, err := s.Products(t.Context(), paging.Request{First: 1}, paging.ProductQuery{Statuses: []models.StockStatus{status}})
			require.NoError(t, err)
			return len(page.Products) == 1
		}
		views := map[string]func() *models.Stock{"database": fresh, "cache": cached, "watch": watched}
		shows := func(status models.StockStatus) {
			for name, view := range views {
				stock := view()
				require.Equal(t, status, stock.Status(), name)
				require.Equal(t, status == models.Backorder, stock.AvailableForSale(), name)
				require.Zero(t, stock.Quantity(), name)
				require.Empty(t, stock.Levels, name)
			}
			require.True(t, listed(status))
		}
		shows(models.OutOfStock) // there is no location yet
		require.NotEmpty(t, write(t, s, reserve("r1", "soon", 1, time.Minute)).Errors)
		open("2", true)
		shows(models.Backorder)
		open("3", false)
		shows(models.OutOfStock)
		require.NotEmpty(t, write(t, s, reserve("r2", "soon", 1, time.Minute)).Errors)
		open("4", true)
		require.Empty(t, write(t, s, reserve("r3", "soon", 2, time.Minute)).Errors)
		require.Equal(t, -2, read(t, s, "soon").Quantity())
		require.Equal(t, models.Backorder, read(t, s, "soon").Status())
	})
}

// A page of named products is answered from their stocks: without the database, in every
// order, with what was written last. Other pages need it.
func TestNamedProductsNeedNoDatabase(t *testing.T) {
	t.Parallel()
	pg := storetest.PrivatePostgres(t)
	require.NoError(t, pg.CreateDatabase(t.Context(), "shop"))
	s := open(t, Config{DatabaseURL: pg.DSN("shop"), RedisURL: storetest.Redis(t).URL(), RedisTimeout: redisPatience})
	stockUp(t, s, 5, "a", "b", "c")
	title := "z mug"
	write(t, s, models.UpsertProducts{IdempotencyKey: "title", Rows: []models.ProductRow{{ProductID: "a", Title: models.Patch[string]{Given: true, Value: &title}}}})
	ids := []string{"c", "none", "a", "c", "b"}
	for _, id := range ids { // "none" becomes a negative entry
		eventually(t, func() bool { stock := read(t, s, id); return stock == nil || stock.Source != models.FromDatabase })
	}
	eventually(t, func() bool { read(t, s, "none"); return s.cache.Stats().NegativeHits > 0 })
	require.NoError(t, pg.Stop())

	list := func(page paging.Request, order paging.ProductOrder) paging.ProductPage {
		t.Helper()
		found, err := s.Products(t.Context(), page, paging.ProductQuery{IDs: ids, Order: order})
		require.NoError(t, err)
		for i, stock := range found.Stocks {
			require.Equal(t, stock.Product, found.Products[i])
		}
		return found
	}
	idsOf := func(page paging.ProductPage) (list []string) {
		for _, p := range page.Products {
			list = append(list, p.ProductID)
		}
		return list
	}
	all := list(paging.Request{First: 50}, paging.ByProductID)
	require.Equal(t, []string{"a", "b", "c"}, idsOf(all))
	require.Equal(t, 3, *all.Total)
	require.Equal(t, &title, all.Products[0].Title)
	require.Equal(t, 5, all.Stocks[0].Quantity())
	require.Equal(t, []string{"b", "c", "a"}, idsOf(list(paging.Request{First: 50}, paging.ByTitle)))
	first := list(paging.Request{First: 1}, paging.ByTitle)
	require.Equal(t, []string{"b"}, idsOf(first))
	require.True(t, first.HasNext)
	require.Equal(t, []string{"c", "a"}, idsOf(list(paging.Request{First: 5, After: first.End}, paging.ByTitle)))
	require.Equal(t, []string{"b"}, idsOf(list(paging.Request{Last: 1, Before: "c"}, paging.ByTitle)))

	for _, q := range []paging.ProductQuery{{}, {IDs: ids, TitleContains: "m"}, {IDs: []string{"not cached"}}} {
		_, err := s.Products(t.Context(), paging.Request{First: 2}, q)
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	}
}
