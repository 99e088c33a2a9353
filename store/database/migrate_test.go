package database_test

import (
	"context"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// Migrating twice is migrating once, and keeps what is there.
func TestMigrateTwice(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		epoch, stock := s.Epoch(), s.read("mug")
		require.NotEmpty(t, epoch)
		for _, db := range processes(t, s) {
			applied, err := db.Migrate(t.Context())
			require.NoError(t, err)
			require.Zero(t, applied)
			require.Equal(t, epoch, db.Epoch())
		}
		require.Equal(t, stock, s.read("mug"))
	})
}

// Copies that start at once migrate once: the others wait.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := freshURL(t, postgres)
	applied := make([]int, 2)
	var group sync.WaitGroup
	for i := range applied {
		db := openOnly(t, url)
		group.Go(func() {
			var err error
			applied[i], err = db.Migrate(context.Background())
			assert.NoError(t, err)
			assert.NotEmpty(t, db.Epoch())
		})
	}
	group.Wait()
	slices.Sort(applied)
	require.Zero(t, applied[0], "one of them did it all")
	_, files, err := openOnly(t, url).Migrations()
	require.NoError(t, err)
	all, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	require.Equal(t, len(all), applied[1])
}

// A database of the first migration goes on with its stock after the next ones.
func TestMigrateGoesOn(t *testing.T) {
	t.Parallel()
	url := freshURL(t, postgres)
	s := openShop(t, postgres, url)
	s.stock("mug", "north", 5)
	dialect, files, err := s.Migrations()
	require.NoError(t, err)
	provider, err := goose.NewProvider(goose.Dialect(dialect), s.SQL(), files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = provider.DownTo(t.Context(), 1)
	require.NoError(t, err)
	s.exec("UPDATE stock_levels SET available = 7")
	applied, err := s.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(provider.ListSources())-1, applied)
	s = openShop(t, postgres, url) // its connections have statements prepared for the old tables
	version := s.read("mug").Version
	s.hold(line("mug", 2))
	require.Equal(t, version+1, s.read("mug").Version, "given once, not by the trigger too")
	s.exec("UPDATE stock_levels SET available = 4")
	require.Equal(t, version+2, s.read("mug").Version)
	s.audit()
}

// Who writes while a database is brought up to date waits, and is done: no
// migration from 5 on keeps levels and products locked together.
func TestMigrateBesideWriters(t *testing.T) {
	t.Parallel()
	s := openShop(t, postgres, freshURL(t, postgres))
	s.stock("mug", "north", 5)
	dialect, files, err := s.Migrations()
	require.NoError(t, err)
	provider, err := goose.NewProvider(goose.Dialect(dialect), s.SQL(), files, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = provider.DownTo(t.Context(), 4)
	require.NoError(t, err)
	reader, err := s.raw.Begin()
	require.NoError(t, err)
	defer func() { _ = reader.Rollback() }()
	_, err = reader.Exec("SELECT 1 FROM products")
	require.NoError(t, err)
	ended := make(chan error, 2)
	waiting := func(sessions int64) {
		require.Eventually(t, func() bool {
			return s.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == sessions
		}, generous, poll)
	}
	go func() { _, err := s.Migrate(context.Background()); ended <- err }()
	waiting(1)
	go func() { _, err := s.raw.Exec("UPDATE stock_levels SET available = 7"); ended <- err }()
	waiting(2)
	require.NoError(t, reader.Commit())
	for range 2 {
		require.NoError(t, <-ended)
	}
	require.Equal(t, models.Quantities{Available: 7}, s.level("mug", "north"))
	s.audit()
}

// Down leaves nothing behind, and up works again after it, as another
// history.
func TestMigrateDown(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{postgres, sqlite, memory} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := freshURL(t, kind)
			s := openShop(t, kind, url)
			s.stock("mug", "north", 5)
			s.hold(line("mug", 1))
			epoch := s.Epoch()
			dialect, files, err := s.Migrations()
			require.NoError(t, err)
			provider, err := goose.NewProvider(goose.Dialect(dialect), s.SQL(), files, goose.WithDisableGlobalRegistry(true))
			require.NoError(t, err)
			_, err = provider.DownTo(t.Context(), 0)
			require.NoError(t, err)
			if kind == postgres {
				require.Zero(t, s.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version'"))
				require.Zero(t, s.number("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))
			} else {
				require.Zero(t, s.number("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'"))
			}
			applied, err := s.Migrate(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(provider.ListSources()), applied)
			require.NotEqual(t, epoch, s.Epoch())
			if kind == postgres {
				s = openShop(t, kind, url) // as in TestMigrateGoesOn
			}
			require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{Locations: []models.Location{{LocationID: "north", Active: true}}}))
			s.stock("mug", "north", 5)
			s.hold(line("mug", 5))
			s.audit()
		})
	}
}

// What names no database is refused, and no password is repeated.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://onhand:secret@db/stock", "sqlite:", "postgres://onhand:secret@db:notaport/stock", "stock.db"} {
		_, err := database.Open(url, nil)
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "secret")
	}
}
