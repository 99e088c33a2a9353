package database

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"onhand/models"
)

const (
	// carryTimeout bounds one round of carrying, Redis included.
	drainTimeout = 10 * time.Second
	// carryIdle is when the server takes the rows back from a process that froze
	// while it carried them: to all others they are locked.
	drainIdle = drainTimeout + 2*time.Second
)

// Carry claims up to limit outbox rows, oldest first, passing over those
// another copy is carrying, and deletes them when carry returns nil. When the
// process dies in between, the rows are still there: carrying is repeated, not
// lost.
func (d *Database) DrainOutbox(ctx context.Context, limit int, carry func(context.Context, []models.Change) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if d.Fragments.OneWriter {
		return d.drainUnlocked(ctx, limit, carry)
	}
	var carried int
	err := d.Gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		idle := strconv.FormatInt(d.bounds.drainIdle.Milliseconds(), 10)
		if err := tx.Exec("SELECT set_config('idle_in_transaction_session_timeout', ?, true)", idle).Error; err != nil {
			return err
		}
		ids, changes, err := outboxRows(tx, limit, d.Fragments.SkipLocked)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := carry(ctx, changes); err != nil {
			return err
		}
		carried = len(ids)
		return tx.Exec("DELETE FROM outbox WHERE outbox_id IN ?", ids).Error
	})
	if err != nil {
		return 0, d.Fault(err)
	}
	return carried, nil
}

// carryUnlocked is Carry for the engine with one writer: holding its write
// transaction while Redis is spoken to would stop every sale. Two processes
// may carry the same row; versions make that harmless.
func (d *Database) drainUnlocked(ctx context.Context, limit int, carry func(context.Context, []models.Change) error) (int, error) {
	db := d.Gorm.WithContext(ctx)
	ids, changes, err := outboxRows(db, limit, "")
	if err != nil || len(ids) == 0 {
		return 0, d.Fault(err)
	}
	if err := carry(ctx, changes); err != nil {
		return 0, err
	}
	return len(ids), d.Fault(db.Exec("DELETE FROM outbox WHERE outbox_id IN ?", ids).Error)
}

func outboxRows(db *gorm.DB, limit int, lock string) (ids []int64, changes []models.Change, err error) {
	var rows []struct {
		OutboxID  int64
		ProductID string
		Version   int64
	}
	err = db.Raw("SELECT outbox_id, product_id, version FROM outbox ORDER BY outbox_id LIMIT ? "+lock, limit).Scan(&rows).Error
	for _, r := range rows {
		ids = append(ids, r.OutboxID)
		changes = append(changes, models.Change{ProductID: r.ProductID, Version: r.Version})
	}
	return ids, changes, err
}

// Compact drops outbox rows that a later row of the same product makes
// needless, so that the outbox stays bounded by the number of products while
// Redis is away.
func (d *Database) CompactOutbox(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return d.Fault(d.Gorm.WithContext(ctx).Exec(`DELETE FROM outbox WHERE outbox_id NOT IN (
		SELECT max(outbox_id) FROM outbox GROUP BY product_id)`).Error)
}

// Waiting is how many outbox rows Redis has not been told of yet.
func (d *Database) OutboxLen(ctx context.Context) (rows int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Raw("SELECT count(*) FROM outbox").Scan(&rows).Error
	return rows, d.Fault(err)
}

// Backlog is how many outbox rows Redis has not been told of yet, and the
// oldest of them; 0 where there is none.
func (d *Database) OutboxBacklog(ctx context.Context) (oldest, rows int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Raw("SELECT coalesce(min(outbox_id), 0), count(*) FROM outbox").Row().Scan(&oldest, &rows)
	return oldest, rows, d.Fault(err)
}
