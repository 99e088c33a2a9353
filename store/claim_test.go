package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// Two instances that do not share a Redis must not serve one database: the second
// one refuses and says what to do, in whatever order they start. When the first
// one has ended, the second may start.
func TestOneServerWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t).ServerURL()
	for name, database := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "shop.db"), "postgres": storetest.Postgres(t),
	} {
		alone, shared := Config{DatabaseURL: database}, Config{DatabaseURL: database, RedisURL: redis}
		for _, second := range []Config{alone, shared} {
			for _, first := range []Config{alone, shared} {
				t.Run(fmt.Sprintf("%s %t %t", name, first == alone, second == alone), func(t *testing.T) {
					one := open(t, first)
					log := &syncBuffer{}
					config := second
					config.DatabaseURL = storetest.ServerAccount(config.DatabaseURL)
					config.Logger = slog.New(slog.NewTextHandler(log, nil))
					two, err := Open(config)
					require.NoError(t, err)
					defer two.Close()
					_, err = two.Migrate(t.Context())
					require.NoError(t, err)
					err = two.Start()
					switch {
					case first == shared && second == shared:
						require.NoError(t, err)
					case second == shared && name == "postgres":
						require.NoError(t, err, "a lock that a pooler left behind must not keep a shop closed")
						require.Contains(t, log.String(), "changes may be missed")
					default:
						require.ErrorContains(t, err, "REDIS_URL")
						one.Close()
						require.NoError(t, two.Start())
					}
				})
			}
		}
	}
}

// Many instances start on one new file at the same time: one migrates, and all
// find the tables.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "shop.db")
	var stores [8]*Store
	for i := range stores {
		s, err := Open(Config{DatabaseURL: url})
		require.NoError(t, err)
		t.Cleanup(s.Close)
		stores[i] = s
	}
	var group sync.WaitGroup
	var errs [len(stores)]error
	for i, s := range stores {
		group.Go(func() { _, errs[i] = s.Migrate(t.Context()) })
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	empty, err := stores[3].database.Empty(t.Context())
	require.NoError(t, err)
	require.True(t, empty)
}

// A command that does not serve, such as import, works beside an instance that has
// the database to itself. The instance publishes what the command changed.
func TestImportBesideAServer(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: "sqlite:" + filepath.Join(t.TempDir(), "shop.db")}
	server := open(t, config)
	stockUp(t, server, 5, "x")
	watch, err := server.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 5 })
	eventually(t, func() bool { return cached(read(t, server, "x")) })

	command, err := Open(config)
	require.NoError(t, err)
	_, err = command.Migrate(t.Context())
	require.NoError(t, err)
	locations := []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}}
	require.NoError(t, command.ReplaceOpening(t.Context(), []models.OpeningRow{
		{ProductID: "x", LocationID: "a", Available: 9}, {ProductID: "new", LocationID: "a", Available: 9},
	}, locations, nil, nil))
	command.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 9 })
	require.Equal(t, 9, read(t, server, "x").Quantity())
	require.Equal(t, 9, read(t, server, "new").Quantity())
}

// A database in a directory that takes no lock file is served all the same.
func TestNoPlaceForAClaim(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	require.NoError(t, os.Mkdir(path+"-serving.lock", 0o700))
	require.NoError(t, os.Mkdir(path+"-migrating.lock", 0o700))
	s := open(t, Config{DatabaseURL: "sqlite:" + path})
	stockUp(t, s, 5, "x")
	require.Equal(t, 5, read(t, s, "x").Quantity())
}
