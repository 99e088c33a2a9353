package database

import (
	"context"
	"errors"
	"time"

	"onhand/models"
	"onhand/store/database/dialect"
)

const (
	// migrateWait bounds how long a migration waits for another process's: a
	// little less than a server waits for its database when it starts.
	migrateWait = 25 * time.Second
	// migrateLook is how often it looks.
	migrateLook = 50 * time.Millisecond
)

// ClaimMigration waits until no other process migrates the database, and keeps
// others from it until release is called. On Postgres the migrations see to
// that themselves.
//
// Errors: UNAVAILABLE when the other one takes too long.
func (d *Database) ClaimMigration(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateWait)
	defer cancel()
	ticker := time.NewTicker(migrateLook)
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
