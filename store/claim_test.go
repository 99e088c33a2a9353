package store

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// Two processes that do not share a Redis must not serve one database: the
// second refuses and says what to do, whoever of them came first. When the
// first has gone it may.
func TestOneServerWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t).URL()
	for name, database := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "shop.db"), "postgres": storetest.Postgres(t),
	} {
		alone, shared := Config{DatabaseURL: database}, Config{DatabaseURL: database, RedisURL: redis}
		for _, second := range []Config{alone, shared} {
			for _, first := range []Config{alone, shared} {
				t.Run(fmt.Sprintf("%s %t %t", name, first == alone, second == alone), func(t *testing.T) {
					one := open(t, first)
					two, err := Open(second)
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
						require.True(t, two.warned)
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

// A claim that was lost with its connection is taken again.
func TestClaimIsKept(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t)}
	s := open(t, config)
	s.stop() // the keeper is us
	s.stopped.Wait()
	admin := outside(t, config.DatabaseURL)
	held := func() (n int) {
		require.NoError(t, admin.Raw("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&n).Error)
		return n
	}
	require.Equal(t, 1, held())
	require.NoError(t, admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Error)
	eventually(t, func() bool { return held() == 0 })
	s.claimed = time.Time{}
	s.keepClaim(t.Context())
	require.Equal(t, 1, held())
	s.Close()
	eventually(t, func() bool { return held() == 0 })
}

// Many processes start on one fresh file at the same time: one migrates, all
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

// A command that does not serve, as import, works beside a server that has the
// database to itself; the server tells its watchers and Redis of what changed.
func TestImportBesideAServer(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: "sqlite:" + filepath.Join(t.TempDir(), "shop.db")}
	server := open(t, config)
	stockUp(t, server, 5, "x")
	watch, err := server.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 5 })
	eventually(t, func() bool { return read(t, server, "x").Source == models.FromCache })

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

// A folder that takes no lock file is served all the same.
func TestNoPlaceForAClaim(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	require.NoError(t, os.Mkdir(path+"-serving.lock", 0o700))
	require.NoError(t, os.Mkdir(path+"-migrating.lock", 0o700))
	s := open(t, Config{DatabaseURL: "sqlite:" + path})
	stockUp(t, s, 5, "x")
	require.Equal(t, 5, read(t, s, "x").Quantity())
}
