package database

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"onhand/models"
)

const (
	// drainTimeout bounds one round of draining, Redis included.
	drainTimeout = 10 * time.Second
	// drainIdle is when the server takes the rows back from a relay that froze: until
	// then they are locked for other instances.
	drainIdle = drainTimeout + 2*time.Second
	// moveTimeout bounds moving one version. A row that another transaction has locked
	// must not delay the others.
	moveTimeout = time.Second
)

// DrainOutbox claims up to limit outbox rows, oldest first, without those that another
// instance drains, and deletes them when publish returns nil. When the process dies in
// between, the rows are still there: publishing is repeated, not lost.
//
// Errors: those of publish, as they are; those of the database.
func (d *Database) DrainOutbox(ctx context.Context, limit int, publish func(context.Context, []models.Change) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if d.Fragments.OneWriter {
		return d.drainUnlocked(ctx, limit, publish)
	}
	var drained int
	var publishErr error // of Redis, not of the database
	err := d.Gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		idle := strconv.FormatInt(d.bounds.drainIdle.Milliseconds(), 10)
		if err := tx.Exec("SELECT set_config('idle_in_transaction_session_timeout', ?, true)", idle).Error; err != nil {
			return err
		}
		rows, err := outboxRows(tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}), limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		if publishErr = publish(ctx, changesOf(rows)); publishErr != nil {
			return publishErr
		}
		drained = len(rows)
		return tx.Delete(rows).Error
	})
	if publishErr != nil {
		return 0, publishErr
	}
	if err != nil {
		return 0, d.Fault(err)
	}
	return drained, nil
}

// drainUnlocked is DrainOutbox for an engine with one writer: a write transaction that
// is open while Redis is called would stop every sale. Two processes may publish the
// same row; versions make that harmless.
func (d *Database) drainUnlocked(ctx context.Context, limit int, publish func(context.Context, []models.Change) error) (int, error) {
	db := d.Gorm.WithContext(ctx)
	rows, err := outboxRows(db, limit)
	if err != nil || len(rows) == 0 {
		return 0, d.Fault(err)
	}
	if err := publish(ctx, changesOf(rows)); err != nil {
		return 0, err
	}
	return len(rows), d.Fault(db.Delete(rows).Error)
}

func outboxRows(db *gorm.DB, limit int) (rows []outboxRow, err error) {
	return rows, db.Order("outbox_id").Limit(limit).Find(&rows).Error
}

func changesOf(rows []outboxRow) []models.Change {
	changes := make([]models.Change, len(rows))
	for i, r := range rows {
		changes[i] = models.Change{ProductID: r.ProductID, Version: r.Version}
	}
	return changes
}

// CompactOutbox deletes outbox rows that a later row of the same product makes
// needless. The number of products bounds the outbox while Redis is away.
func (d *Database) CompactOutbox(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	db := d.Gorm.WithContext(ctx)
	newest := db.Model(&outboxRow{}).Select("max(outbox_id)").Group("product_id")
	return d.Fault(db.Where("outbox_id NOT IN (?)", newest).Delete(&outboxRow{}).Error)
}

// OutboxLen returns how many outbox rows there are: changes that Redis has not got yet.
func (d *Database) OutboxLen(ctx context.Context) (rows int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Model(&outboxRow{}).Count(&rows).Error
	return rows, d.Fault(err)
}

// OutboxBacklog returns the oldest outbox row, 0 where there is none, and how many
// there are.
func (d *Database) OutboxBacklog(ctx context.Context) (oldest, rows int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	err = db.Model(&outboxRow{}).Select("coalesce(min(outbox_id), 0), count(*)").Row().Scan(&oldest, &rows)
	return oldest, rows, d.Fault(err)
}

// MoveVersion gives a product a later version and leaves its stock as it is. Readers
// may have believed versions up to the new one, which another program wrote into
// Redis; what they get next must be newer for them. The outbox row makes the relay
// publish the product, should this instance die first.
//
// It changes nothing, and returns false, unless the product still has the version
// from and the database the epoch.
//
// Errors: UNAVAILABLE, also when another transaction has locked the product.
func (d *Database) MoveVersion(ctx context.Context, epoch, productID string, from, to int64) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	err = d.Gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		update := tx.Model(&models.Product{}).
			Where("product_id = ? AND version = ? AND EXISTS (SELECT 1 FROM onhand_meta WHERE epoch = ?)", productID, from, epoch).
			UpdateColumn("version", to)
		if moved = update.RowsAffected == 1; update.Error != nil || !moved {
			return update.Error
		}
		return tx.Create(&outboxRow{ProductID: productID, Version: to}).Error
	})
	return moved && err == nil, d.Fault(err)
}
