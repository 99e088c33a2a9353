package database_test

import (
	"context"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
)

// A second Migrate changes nothing.
func TestMigrateTwice(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		epoch, stock := s.Epoch(), s.read("mug")
		require.NotEmpty(t, epoch)
		for _, db := range instances(t, s) {
			applied, err := db.Migrate(t.Context())
			require.NoError(t, err)
			require.Zero(t, applied)
			require.Equal(t, epoch, db.Epoch())
		}
		require.Equal(t, stock, s.read("mug"))
	})
}

// Of two instances that start together, one migrates and the other waits.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := freshURL(t, postgres)
	applied := make([]int, 2)
	var group sync.WaitGroup
	for i := range applied {
		db := openOnly(t, storetest.OwnerAccount(url))
		group.Go(func() {
			var err error
			applied[i], err = db.Migrate(context.Background())
			assert.NoError(t, err)
			assert.NotEmpty(t, db.Epoch())
		})
	}
	group.Wait()
	slices.Sort(applied)
	require.Zero(t, applied[0], "one of them applied all migrations")
	_, files := openOnly(t, url).Migrations()
	all, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	require.Equal(t, len(all), applied[1])
}

// The down migrations remove everything. The up migrations work again after them, with
// another epoch.
func TestMigrateDown(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{postgres, sqlite, memory} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := freshURL(t, kind)
			s := openShop(t, kind, url)
			s.stock("mug", "north", 5)
			s.reserved(line("mug", 1))
			epoch := s.Epoch()
			dialect, files := s.Migrations()
			owner := s.Database
			if kind != memory {
				owner = openOnly(t, storetest.OwnerAccount(url))
			}
			provider, err := goose.NewProvider(goose.Dialect(dialect), owner.SQL, files, goose.WithDisableGlobalRegistry(true))
			require.NoError(t, err)
			_, err = provider.DownTo(t.Context(), 0)
			require.NoError(t, err)
			if kind == postgres {
				require.Zero(t, s.number(`SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'goose\_db\_version%'`))
				require.Zero(t, s.number("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))
				require.Zero(t, s.number("SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'd'"))
			} else {
				require.Zero(t, s.number("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'"))
			}
			applied, err := owner.Migrate(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(provider.ListSources()), applied)
			require.NotEqual(t, epoch, owner.Epoch())
			if kind == postgres {
				s = openShop(t, kind, url) // the old connections have prepared statements for the dropped tables
			}
			require.NoError(t, s.AddCatalogue(t.Context(), database.Catalogue{Locations: []models.Location{{LocationID: "north", Active: true}}}))
			s.stock("mug", "north", 5)
			s.reserved(line("mug", 5))
			s.audit()
		})
	}
}

// A newer instance changes a table while another one runs. A statement that the running
// instance has prepared fails once, as UNAVAILABLE, and works the next time.
func TestSchemaChangesBesideARunningInstance(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		reserved := s.reserved(line("mug", 1))
		s.SQL.SetMaxOpenConns(1) // one connection prepares the statements and meets the change
		require.Eventually(t, func() bool { return s.SQL.Stats().OpenConnections <= 1 }, time.Minute, time.Millisecond,
			"a connection that is in use closes when it is returned")
		read := func() error { _, err := s.ReadReservations(t.Context(), []string{reserved.ID}); return err }
		require.NoError(t, read())
		require.NoError(t, read())
		s.exec("ALTER TABLE reservations ALTER owner_ref TYPE varchar(300)")
		require.Equal(t, models.CodeUnavailable, models.CodeOf(read()))
		require.NoError(t, read())
		s.ok(release(reserved.ID))
	})
}

// Tables that a newer program has only added to are used as they are: instances of both
// versions run during an upgrade. Tables from which it has removed something that this
// program needs are refused, in words that say what to do. Both stay as they are.
func TestMigrateBesideANewerProgram(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		_, files := s.Migrations()
		all, err := fs.Glob(files, "*.sql")
		require.NoError(t, err)
		both := instances(t, s)
		s.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, $1)", true)
		for _, db := range both {
			applied, err := db.Migrate(t.Context())
			require.NoError(t, err)
			require.Zero(t, applied)
			require.NoError(t, db.RefuseNewer(t.Context()))
		}
		s.reserved(line("mug", 1))
		s.exec("UPDATE onhand_meta SET migration_needed = 98")
		for _, db := range both {
			applied, err := db.Migrate(t.Context())
			require.Zero(t, applied)
			var newer *database.NewerSchemaError
			require.ErrorAs(t, err, &newer)
			require.Equal(t, database.NewerSchemaError{Found: 99, Needed: 98, Known: int64(len(all))}, *newer)
			require.ErrorAs(t, db.RefuseNewer(t.Context()), &newer)
			reason, passes := database.Explain(err)
			require.Contains(t, reason, "a newer onhand has migrated its tables: they are at migration 99 and need a program that knows migration 98")
			require.False(t, passes)
		}
		require.Equal(t, int64(99), s.number("SELECT max(version_id) FROM goose_db_version"))
		require.Equal(t, models.Quantities{Available: 4, Reserved: 1}, s.level("mug", "north"))
		s.exec("UPDATE onhand_meta SET migration_needed = 1")
		_, err = s.Migrate(t.Context())
		require.NoError(t, err)
	})
}

// Migrations leave the program that made them able to work: none needs a later one than
// the last.
func TestMigrationNeeded(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		require.LessOrEqual(t, s.number("SELECT migration_needed FROM onhand_meta"), s.number("SELECT max(version_id) FROM goose_db_version"))
	})
}

// Open refuses a URL that names no database, and its error does not repeat the password.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://onhand:secret@db/stock", "sqlite:", "postgres://onhand:secret@db:notaport/stock", "stock.db"} {
		_, err := database.Open(url, nil, database.Switches{})
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "secret")
	}
}
