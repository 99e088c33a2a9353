package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"onhand/models"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// patience is how long a test waits for what must happen. It is long, for the
// machine may be busy; a test that passes does not wait.
const patience = 20 * time.Second

// redisPatience is how long Redis may take where a test counts round trips or
// holds one up: on a busy machine a Redis that is slow must not pass for one
// that is away.
const redisPatience = 5 * time.Second

// composition is one way to put the store together. Every promise of the
// package holds for each.
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

// open makes, migrates and starts a store that ends with the test.
func open(t *testing.T, config Config, prepare ...func(*Store)) *Store {
	t.Helper()
	if os.Getenv("TEST_LOG") != "" {
		config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := Open(config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	for _, p := range prepare {
		p(s)
	}
	require.NoError(t, s.Start())
	return s
}

// stockUp adds products, each with the same quantity at location "a".
func stockUp(t *testing.T, s *Store, quantity int, ids ...string) {
	t.Helper()
	rows := make([]models.OpeningRow, len(ids))
	for i, id := range ids {
		rows[i] = models.OpeningRow{ProductID: id, Title: "Product " + id, LocationID: "a", Available: quantity}
	}
	locations := []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}}
	require.NoError(t, s.ImportOpening(t.Context(), rows, locations, nil, nil))
}

// forgetCache empties Redis behind the store's back.
func forgetCache(t *testing.T, s *Store) {
	t.Helper()
	drained(t, s)
	require.NoError(t, s.clients[0].FlushAll(t.Context()).Err())
}

// drained waits until the relay has nothing left to carry.
func drained(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, func() bool {
		rows, err := s.database.OutboxLen(t.Context())
		return err == nil && rows == 0
	})
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond)
}

// outside gives a connection of its own to the store's Postgres, as a DBA has.
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

func hold(key, product string, quantity int, ttl time.Duration) models.Reserve {
	return models.Reserve{IdempotencyKey: key, TTL: ttl, Lines: []models.Line{{ProductID: product, Quantity: quantity}}}
}

func read(t *testing.T, s *Store, id string) *models.Stock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stocks, err := s.Stocks(ctx, []string{id})
	require.NoError(t, err)
	return stocks[0]
}

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
