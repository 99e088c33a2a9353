package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// patience is how long a test waits for what must happen. It is long, because the
// machine may be busy; a test that passes does not wait.
const patience = 20 * time.Second

// redisPatience is the time limit of Redis in tests that count round trips or
// delay one: a busy Redis must not pass for one that is away.
const redisPatience = 5 * time.Second

// composition is one way to put the store together. Every promise of the package
// holds for each.
type composition struct {
	name string
	make func(t *testing.T) Config
}

var compositions = []composition{
	{"postgres and redis", func(t *testing.T) Config {
		return Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	}},
	{"embedded", func(*testing.T) Config { return Config{DatabaseURL: "sqlite::memory:"} }},
}

// onEach runs a test on every composition, side by side.
func onEach(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Parallel()
	for _, c := range compositions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := c.make(t)
			config.RedisTimeout = redisPatience
			test(t, open(t, config))
		})
	}
}

// open makes, migrates and starts a store that is closed when the test ends.
func open(t *testing.T, config Config) *Store {
	t.Helper()
	if os.Getenv("TEST_LOG") != "" {
		config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if config.NearCacheBytes == 0 {
		config.NearCacheBytes = storetest.NearCacheBytes(t)
	}
	config.RedisURL = storetest.ServerAccount(config.RedisURL)
	if url := storetest.ServerAccount(config.DatabaseURL); url != config.DatabaseURL {
		migrate(t, storetest.OwnerAccount(config.DatabaseURL))
		config.DatabaseURL = url
	}
	s, err := Open(config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Start())
	return s
}

// migrate brings the tables of a database up to date.
func migrate(t *testing.T, url string) {
	t.Helper()
	db, err := database.Open(url, slog.New(slog.DiscardHandler), database.Switches{})
	require.NoError(t, err)
	_, err = db.Migrate(t.Context())
	require.NoError(t, errors.Join(err, db.Close()))
}

// stockUp adds products, each with the same quantity at location "a".
func stockUp(t *testing.T, s *Store, quantity int, ids ...string) {
	t.Helper()
	counts := make([]models.OpeningRow, len(ids))
	for i, id := range ids {
		counts[i] = models.OpeningRow{ProductID: id, Title: "Product " + id, LocationID: "a", Available: quantity}
	}
	locations := []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}}
	require.NoError(t, s.ImportOpening(t.Context(), counts, locations, nil, nil))
}

// emptyCache removes everything from Redis, once nothing is on its way there.
func emptyCache(t *testing.T, s *Store) {
	t.Helper()
	drained(t, s)
	require.NoError(t, administrator(t, s).FlushAll(t.Context()).Err())
}

// administrator is a client of the store's Redis that may do everything.
func administrator(t *testing.T, s *Store) redis.UniversalClient {
	t.Helper()
	var own redis.UniversalClient
	switch client := s.clients[0].(type) {
	case *redis.ClusterClient:
		own = redis.NewClusterClient(&redis.ClusterOptions{Addrs: client.Options().Addrs})
	case *redis.Client:
		if client.Options().Username == "" {
			return client
		}
		own = redis.NewClient(&redis.Options{Addr: client.Options().Addr})
	}
	t.Cleanup(func() { _ = own.Close() })
	return own
}

// drained waits until the relay has drained the outbox.
func drained(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, func() bool {
		rows, err := s.OutboxLen(t.Context())
		return err == nil && rows == 0
	})
}

// quiet stops the relay and the periodic work.
func quiet(t *testing.T, s *Store) {
	t.Helper()
	drained(t, s)
	s.relay.Stop()
	s.stop()
	s.running.Wait()
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond)
}

// outside opens a connection of its own to the store's Postgres, as an
// administrator has.
func outside(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("p%03d", i)
	}
	return ids
}

func write(t *testing.T, s *Store, w models.Write) models.WriteResult {
	t.Helper()
	result, err := s.Write(t.Context(), w)
	require.NoError(t, err)
	return result
}

func receive(key, product string, delta int) models.Adjust {
	return models.Adjust{IdempotencyKey: key, Reason: models.ReasonReceived, Rows: []models.AdjustRow{
		{ProductID: product, LocationID: "a", State: models.Available, Delta: delta},
	}}
}

func reserve(key, product string, quantity int, ttl time.Duration) models.Reserve {
	return models.Reserve{IdempotencyKey: key, TTL: ttl, Lines: []models.RequestedLine{{ProductID: product, Quantity: quantity}}}
}

func read(t *testing.T, s *Store, id string) *models.Stock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stocks, err := s.Stocks(ctx, []string{id})
	require.NoError(t, err)
	return stocks[0]
}

// cached reports whether a stock was read from Redis or from the near cache.
func cached(stock *models.Stock) bool { return stock.Source != models.FromDatabase }

// awaitStock reads a watch until the wanted state comes.
func awaitStock(t *testing.T, watch models.Watch[*models.Stock], wanted func(*models.Stock) bool) *models.Stock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		stock, err := watch.Next(ctx)
		require.NoError(t, err)
		if wanted(stock) {
			return stock
		}
	}
}

// measured reads all metrics of a store: name{label,label} to value; of
// histograms, the number of observations.
func measured(t *testing.T, s *Store) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Collectors()...)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		require.NotEmpty(t, family.GetHelp())
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			if labels := metric.GetLabel(); len(labels) > 0 {
				name += "{"
				for i, label := range labels {
					if i > 0 {
						name += ","
					}
					name += label.GetValue()
				}
				name += "}"
			}
			values[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}
