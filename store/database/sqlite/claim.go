package sqlite

import (
	"context"
	"path/filepath"

	"onhand/store/database/dialect"
)

// lockName is the name of a lock file. It follows links, as the database does.
func lockName(file, suffix string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	return file + suffix
}

const (
	// The lock files lie beside the database and are never deleted: two processes
	// could lock different files of one name.
	servingLock   = "-serving.lock"
	migratingLock = "-migrating.lock"
)

// Claim implements [dialect.Engine] by a lock on a file beside the database. A database in
// memory has no other process.
func (e *Engine) Claim(_ context.Context, exclusive bool) (*dialect.Claim, error) {
	if e.file == "" {
		return &dialect.Claim{}, nil
	}
	release, err := lockFile(lockName(e.file, servingLock), exclusive)
	if err != nil {
		return nil, err
	}
	return &dialect.Claim{End: release}, nil
}

// ClaimMigration implements [dialect.Engine].
func (e *Engine) ClaimMigration() (release func(), err error) {
	if e.file == "" {
		return func() {}, nil
	}
	return lockFile(lockName(e.file, migratingLock), true)
}
