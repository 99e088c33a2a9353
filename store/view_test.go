package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/storetest"
)

// channelOf makes or changes the channel "web".
func channelOf(key string, locations ...string) models.UpsertChannels {
	return models.UpsertChannels{IdempotencyKey: key, Rows: []models.ChannelRow{{ChannelID: "web", LocationIDs: append([]string{}, locations...)}}}
}

// addB adds a second location, with stock.
func addB(t *testing.T, s *Store) {
	t.Helper()
	require.Empty(t, write(t, s, models.UpsertLocations{IdempotencyKey: "b", Rows: []models.LocationRow{{LocationID: "b"}}}).Errors)
	w := receive("to b", "x", 3)
	w.Rows[0].LocationID = "b"
	require.Empty(t, write(t, s, w).Errors)
}

// A watch of views gets the new view when the channel changes, with a higher version,
// although no product has changed. A sale in between has its place in the order.
func TestWatchView(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		addB(t, s)
		_, err := s.WatchView(t.Context(), []string{"x"}, "web")
		require.Error(t, err, "there is no such channel")
		write(t, s, channelOf("1", "a"))
		watch, err := s.WatchView(t.Context(), []string{"x", "unknown"}, "web")
		require.NoError(t, err)
		defer watch.Close()
		last, product := int64(0), read(t, s, "x").Version
		expect := func(quantity int) *models.Stock {
			t.Helper()
			view := awaitStock(t, watch, func(v *models.Stock) bool {
				require.Greater(t, v.ViewVersion(), last)
				last = v.ViewVersion()
				return v.Quantity() == quantity
			})
			return view
		}
		expect(5)
		write(t, s, channelOf("2", "a", "b"))
		expect(8)
		require.Equal(t, product, read(t, s, "x").Version)
		write(t, s, receive("3", "x", 1))
		expect(9)
		write(t, s, channelOf("4"))
		expect(0)
		write(t, s, channelOf("5", "b"))
		expect(3)
	})
}

// The watches of every instance get the new view. The message of Redis brings it: the
// periodic check of this test comes too late.
func TestViewsAcrossInstances(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL(), EpochCheckInterval: time.Hour}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	addB(t, one)
	write(t, one, channelOf("0", "a"))
	eventually(t, func() bool { _, known := two.Directory().Channel("web"); return known })
	watch, err := two.WatchView(t.Context(), []string{"x"}, "web")
	require.NoError(t, err)
	defer watch.Close()
	for i := range 10 {
		locations, quantity := []string{"a", "b"}, 8
		if i%2 == 0 {
			locations, quantity = []string{"b"}, 3
		}
		began := time.Now()
		write(t, one, channelOf(fmt.Sprint("change ", i), locations...))
		awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == quantity })
		require.Less(t, time.Since(began), 10*time.Second)
	}
}

// A lost message: the periodic check brings the change. Here no message was sent at all,
// because an administrator wrote with SQL.
func TestViewsWithoutAMessage(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL(), EpochCheckInterval: 50 * time.Millisecond}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	addB(t, s)
	write(t, s, channelOf("0", "a"))
	watch, err := s.WatchView(t.Context(), []string{"x"}, "web")
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == 5 })
	require.NoError(t, outside(t, config.DatabaseURL).Exec("INSERT INTO channel_locations VALUES ('web', 'b')").Error)
	awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == 8 })
}

// A change while Redis was away: the new connection brings it, also where the periodic
// check comes too late.
func TestViewsAfterAGap(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: server.URL(), EpochCheckInterval: time.Hour}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	addB(t, one)
	write(t, one, channelOf("0", "a"))
	eventually(t, func() bool { _, known := two.Directory().Channel("web"); return known })
	watch, err := two.WatchView(t.Context(), []string{"x"}, "web")
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == 5 })
	require.NoError(t, server.Kill())
	write(t, one, channelOf("1", "a", "b"))
	require.NoError(t, server.Start())
	awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == 8 })
}

// FreshDirectory finds a channel that no message has announced.
func TestFreshDirectory(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), EpochCheckInterval: time.Hour}
	s := open(t, config)
	require.NoError(t, outside(t, config.DatabaseURL).Exec("INSERT INTO channels (channel_id, name) VALUES ('app', 'App')").Error)
	_, known := s.Directory().Channel("app")
	require.False(t, known)
	_, known = s.FreshDirectory(t.Context()).Channel("app")
	require.True(t, known)
	_, known = s.Directory().Channel("app")
	require.True(t, known)
}

// A buffer counts everywhere alike: in views as they change, in past views, in the
// cache, and for changes of status.
func TestViewsWithABuffer(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		addB(t, s)
		write(t, s, channelOf("0", "a", "b"))
		watch, err := s.WatchView(t.Context(), []string{"x"}, "web")
		require.NoError(t, err)
		defer watch.Close()
		statuses, err := s.WatchStatus(t.Context(), "web", nil, nil)
		require.NoError(t, err)
		defer statuses.Close()
		quantity := func(n int) *models.Stock {
			t.Helper()
			return awaitStock(t, watch, func(v *models.Stock) bool { return v.Quantity() == n })
		}
		quantity(8)
		set := func(key string, row models.ChannelRow) {
			t.Helper()
			row.ChannelID = "web"
			require.Empty(t, write(t, s, models.UpsertChannels{IdempotencyKey: key, Rows: []models.ChannelRow{row}}).Errors)
		}
		listed := func(status models.StockStatus) bool {
			t.Helper()
			page, err := s.Products(t.Context(), paging.Request{First: 9}, paging.ProductQuery{Channel: "web", Statuses: []models.StockStatus{status}})
			require.NoError(t, err)
			return len(page.Products) == 1
		}
		set("1", models.ChannelRow{Buffer: new(4)})
		quantity(4)
		require.True(t, listed(models.LowStock), "8 units, 4 of them kept back")
		set("2", models.ChannelRow{ProductBuffers: []models.ProductBuffer{{ProductID: "x", Buffer: new(7)}}})
		quantity(1)
		require.True(t, listed(models.LowStock))
		require.False(t, listed(models.OutOfStock))
		drained(t, s)
		eventually(t, func() bool { return cached(read(t, s, "x")) })
		web, _ := s.Directory().Channel("web")
		require.Equal(t, 1, read(t, s, "x").In(web).Quantity(), "cached")

		require.Len(t, write(t, s, throughWeb("3", 2)).Errors, 1)
		require.Empty(t, write(t, s, throughWeb("4", 1)).Errors)
		require.Equal(t, models.OutOfStock, quantity(0).Status())
		require.True(t, listed(models.OutOfStock))
		changed, err := statuses.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.StockStatus{models.LowStock, models.OutOfStock}, []models.StockStatus{changed.PreviousStatus, changed.Status})
		require.Equal(t, read(t, s, "x").Version, changed.Version)

		now, err := s.Now(t.Context())
		require.NoError(t, err)
		past, err := s.StockAsOf(t.Context(), "x", now)
		require.NoError(t, err)
		require.Equal(t, 7, past.Quantity())
		require.Zero(t, past.In(web).Quantity(), "as of a moment")
	})
}

func throughWeb(key string, quantity int) models.Reserve {
	w := reserve(key, "x", quantity, time.Hour)
	w.Channel = "web"
	return w
}

// A watch that is notified gets the views of its channel as others do, and the same
// object.
func TestPushView(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		addB(t, s)
		ended, end := context.WithCancel(t.Context())
		end()
		notified := make(chan struct{}, 1)
		notify := func(bool) {
			select {
			case notified <- struct{}{}:
			default:
			}
		}
		_, err := s.PushStock(t.Context(), []string{"x"}, "web", notify)
		require.Error(t, err, "there is no such channel")
		write(t, s, channelOf("1", "a"))
		next := func(w models.Watch[*models.Stock], quantity int) *models.Stock {
			t.Helper()
			for {
				view, err := w.Next(ended)
				if errors.Is(err, context.Canceled) {
					<-notified
					continue
				}
				require.NoError(t, err)
				if view.Quantity() == quantity {
					return view
				}
			}
		}
		web, err := s.PushStock(t.Context(), []string{"x"}, "web", notify)
		require.NoError(t, err)
		defer web.Close()
		next(web, 5)
		all, err := s.PushStock(t.Context(), []string{"x"}, "", notify)
		require.NoError(t, err)
		defer all.Close()
		next(all, 8)
		write(t, s, channelOf("2", "b"))
		next(web, 3)
		other, err := s.WatchView(t.Context(), []string{"x"}, "web")
		require.NoError(t, err)
		defer other.Close()
		awaitStock(t, other, func(v *models.Stock) bool { return v.Quantity() == 3 })
		write(t, s, receive("3", "x", 1))
		next(all, 9)
		write(t, s, channelOf("4", "a", "b"))
		require.Same(t, next(web, 9), awaitStock(t, other, func(v *models.Stock) bool { return v.Quantity() == 9 }))
	})
}
