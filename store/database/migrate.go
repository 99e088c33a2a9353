package database

import (
	"context"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrateTimeout bounds all migrations together.
const migrateTimeout = 5 * time.Minute

// Migrate brings the tables up to what this version needs. Several copies may
// call it at once: on Postgres one works and the others wait.
func (d *Database) Migrate(ctx context.Context) (applied int, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	dialect, files := d.engine.Migrations()
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == "postgres" {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return 0, fmt.Errorf("migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(goose.Dialect(dialect), d.SQL, files, options...)
	if err != nil {
		return 0, d.Fault(fmt.Errorf("migrations: %w", err))
	}
	results, err := provider.Up(ctx)
	// SQLite has no lock for this: another process may make a table that we were
	// about to make, once for each migration and once for goose's own table.
	for try := 0; err != nil && dialect == "sqlite3" && try <= len(provider.ListSources()); try++ {
		results, err = provider.Up(ctx)
	}
	if err != nil {
		return len(results), d.Fault(fmt.Errorf("migrate: %w", err))
	}
	_, err = d.ReadMeta(ctx)
	return len(results), err
}
