package database

import (
	"context"
	"time"
)

// Bounds of forgetting.
const (
	// keysKeptFor is how long the first answer to a key is remembered.
	keysKeptFor = 48 * time.Hour
	// forgetBatch is how many answers one statement deletes; forgetRounds, how
	// many statements follow each other.
	deleteBatch  = 5000
	deleteRounds = 1000
)

// ForgetKeys deletes answers that nobody will ask for again, in small
// statements: each has the deadline of a read.
func (d *Database) DeleteOldKeys(ctx context.Context) error {
	for range deleteRounds {
		gone, err := d.deleteOldKeys(ctx)
		if err != nil || gone < deleteBatch {
			return err
		}
	}
	return nil
}

func (d *Database) deleteOldKeys(ctx context.Context) (gone int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	done := db.Exec("DELETE FROM idempotency_keys WHERE key_hash IN (SELECT key_hash FROM idempotency_keys WHERE created_at < "+
		d.Fragments.Ago+" LIMIT ?)", int64(keysKeptFor/time.Second), deleteBatch)
	return done.RowsAffected, d.Fault(done.Error)
}
