package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"onhand/models"
	"onhand/store/database/dialect"
)

// Bounds of migrations.
const (
	// migrateTimeout bounds all migrations together.
	migrateTimeout = 5 * time.Minute
	// migrateWait bounds the wait for another process that migrates: a little less than
	// a server waits for its database when it starts. migratePoll is how often it looks.
	migrateWait = 25 * time.Second
	migratePoll = 50 * time.Millisecond
)

// NewerSchemaError says that a newer version of this program has migrated the database, and
// that this program cannot work on its tables.
type NewerSchemaError struct {
	// Found is the last migration of the tables, Needed the last one that a program must
	// know, Known the last one that this program knows.
	Found, Needed, Known int64
}

// Error says what to do.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("a newer onhand has migrated its tables: they are at migration %d and need a program that knows migration %d, and this program knows migrations up to %d; run the newer program, or restore a backup from before", e.Found, e.Needed, e.Known)
}

// Migrate brings the tables up to what this program needs. Several processes may call
// it at once: on Postgres one migrates and the others wait. Tables that a newer program
// has only added to stay as they are.
//
// Errors: a *[NewerSchemaError]; the database is then unchanged.
func (d *Database) Migrate(ctx context.Context) (applied int, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	engine, files := d.engine.Migrations()
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if engine == "postgres" {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return 0, fmt.Errorf("migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(goose.Dialect(engine), d.SQL, files, options...)
	if err != nil {
		return 0, d.Fault(fmt.Errorf("migrations: %w", err))
	}
	var results []*goose.MigrationResult
	if !d.migrated(ctx, len(provider.ListSources())) {
		results, err = provider.Up(ctx)
	}
	// SQLite has no such lock: another process may create a table first, once for each
	// migration and once for goose's own table.
	for try := 0; err != nil && engine == "sqlite3" && try <= len(provider.ListSources()); try++ {
		results, err = provider.Up(ctx)
	}
	if err != nil {
		return len(results), d.Fault(fmt.Errorf("migrate: %w", err))
	}
	if err := d.refuseNewer(ctx, provider.ListSources()); err != nil {
		return len(results), err
	}
	_, err = d.ReadMeta(ctx)
	return len(results), err
}

// migrated reports whether the tables have that many migrations already. Then no lock is
// taken: behind a connection pooler, a lock of a session may stay with a connection that
// another client gets next.
func (d *Database) migrated(ctx context.Context, known int) bool {
	var applied int
	err := d.SQL.QueryRowContext(ctx, "SELECT count(DISTINCT version_id) FROM "+goose.DefaultTablename+" WHERE is_applied AND version_id > 0").Scan(&applied)
	return err == nil && applied >= known
}

// RefuseNewer returns an error when a newer version of this program has migrated the
// tables to what this one cannot work on. It changes nothing, and there may be no tables.
//
// Errors: a *[NewerSchemaError]; UNAVAILABLE.
func (d *Database) RefuseNewer(ctx context.Context) error {
	made, err := d.Made(ctx)
	if err != nil || !made {
		return err
	}
	engine, files := d.engine.Migrations()
	provider, err := goose.NewProvider(goose.Dialect(engine), d.SQL, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return d.Fault(fmt.Errorf("migrations: %w", err))
	}
	return d.refuseNewer(ctx, provider.ListSources())
}

// refuseNewer returns an error when the tables need a later migration than the known ones.
// Of newer tables, none of the known migrations was missing, so none was applied.
func (d *Database) refuseNewer(ctx context.Context, known []*goose.Source) error {
	newer := &NewerSchemaError{Known: known[len(known)-1].Version}
	const last = "SELECT (SELECT max(version_id) FROM " + goose.DefaultTablename + "), coalesce((SELECT max(migration_needed) FROM onhand_meta), 0)"
	if err := d.SQL.QueryRowContext(ctx, last).Scan(&newer.Found, &newer.Needed); err != nil {
		return d.Fault(fmt.Errorf("read the last migration: %w", err))
	}
	if newer.Needed > newer.Known {
		return newer
	}
	return nil
}

// ClaimMigration waits until no other process migrates the database, and keeps others
// from it until release is called. On Postgres the migrations lock each other out
// themselves.
//
// Errors: UNAVAILABLE when the other process takes too long.
func (d *Database) ClaimMigration(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateWait)
	defer cancel()
	ticker := time.NewTicker(migratePoll)
	defer ticker.Stop()
	for waited := false; ; waited = true {
		release, err = d.engine.ClaimMigration()
		switch {
		case errors.Is(err, dialect.ErrNoClaim):
			d.Log.Debug("migrations are not guarded", "error", err)
			return func() {}, nil
		case !errors.Is(err, dialect.ErrClaimed):
			return release, err
		}
		if !waited {
			d.Log.Info("another process is migrating the database; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, models.Unavailable("another process is migrating the database and does not end", err)
		case <-ticker.C:
		}
	}
}
