package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
)

// ErrClaimed says that another process holds a claim that excludes ours.
var ErrClaimed = errors.New("another process has claimed the database")

// ErrNoClaim says that this database, or its file system, cannot hold claims.
var ErrNoClaim = errors.New("claims cannot be held here")

const (
	// migrateWait bounds how long a migration waits for another process's: a
	// little less than a server waits for its database when it starts.
	migrateWait = 25 * time.Second
	// migrateLook is how often it looks.
	migrateLook = 50 * time.Millisecond
	// The lock files lie beside the database, and stay: to delete one would let
	// two processes lock different files of one name.
	servingLock   = "-serving.lock"
	migratingLock = "-migrating.lock"
	// claimClass sets our advisory locks apart from others'.
	claimClass = 0x6f6e6864 // "onhd"
)

// Claim is this process's part in a database: shared, or all to itself. It ends
// with the process, however that ends.
type Claim struct {
	check   func(context.Context) error
	release func()
}

// Check tells whether the claim still holds; a lost connection ends one.
func (c *Claim) Check(ctx context.Context) error {
	if c.check == nil {
		return nil
	}
	return c.check(ctx)
}

// Release ends the claim.
func (c *Claim) Release() {
	if c.release != nil {
		c.release()
	}
}

// Claim says that this process serves the database: exclusive when no other may
// at the same time, shared with those who share too. It does not wait.
//
// On SQLite it is a lock on a file beside the database; in memory there is
// nobody else. On Postgres it is an advisory lock, held on a connection of its
// own; a pooler that lends connections out for one transaction makes it
// worthless.
//
// Errors: ErrClaimed, ErrNoClaim, UNAVAILABLE.
func (d *Database) Claim(ctx context.Context, exclusive bool) (*Claim, error) {
	switch e := d.engine.(type) {
	case *sqliteEngine:
		if e.file == "" {
			return &Claim{}, nil
		}
		release, err := lockFile(lockName(e.file, servingLock), exclusive)
		if err != nil {
			return nil, err
		}
		return &Claim{release: release}, nil
	case *postgresEngine:
		return d.claimPostgres(ctx, exclusive)
	}
	return nil, ErrNoClaim
}

// lockName follows links, for the database does so too.
func lockName(file, suffix string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	return file + suffix
}

func (d *Database) claimPostgres(ctx context.Context, exclusive bool) (*Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	conn, err := d.sql.Conn(ctx)
	if err != nil {
		return nil, d.fault(err)
	}
	function := "pg_try_advisory_lock_shared"
	if exclusive {
		function = "pg_try_advisory_lock"
	}
	var got bool
	err = conn.QueryRowContext(ctx, "SELECT "+function+"($1, hashtext(current_schema()))", claimClass).Scan(&got)
	if err == nil && got {
		return &Claim{
			check:   func(ctx context.Context) error { return d.checkClaim(ctx, conn) },
			release: func() { endSession(conn) },
		}, nil
	}
	_ = conn.Close()
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil, ErrClaimed
	case errors.As(err, &pgErr) && (pgErr.Code == "42883" || pgErr.Code == "0A000"): // no such function, not supported
		return nil, fmt.Errorf("%w: %w", ErrNoClaim, err)
	}
	return nil, d.fault(err)
}

func (d *Database) checkClaim(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := conn.ExecContext(ctx, "SELECT 1")
	return d.fault(err)
}

// endSession closes a connection for good: back in the pool it would keep its
// locks. They are given back first, for the server takes its time to notice
// that a connection is gone.
func endSession(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
	defer cancel()
	_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock_all()")
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// ClaimMigration waits until no other process migrates the database, and keeps
// others from it until release is called. On Postgres the migrations see to
// that themselves.
//
// Errors: UNAVAILABLE when the other one takes too long.
func (d *Database) ClaimMigration(ctx context.Context) (release func(), err error) {
	e, ok := d.engine.(*sqliteEngine)
	if !ok || e.file == "" {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, migrateWait)
	defer cancel()
	ticker := time.NewTicker(migrateLook)
	defer ticker.Stop()
	for waited := false; ; waited = true {
		release, err = lockFile(lockName(e.file, migratingLock), true)
		switch {
		case errors.Is(err, ErrNoClaim):
			d.log.Debug("migrations are not guarded", "error", err)
			return func() {}, nil
		case !errors.Is(err, ErrClaimed):
			return release, err
		}
		if !waited {
			d.log.Info("another process is migrating the database; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, models.Unavailable("another process is migrating the database and does not end", err)
		case <-ticker.C:
		}
	}
}
