package database

import (
	"context"
	"time"

	"gorm.io/gorm"

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

// announcedMax is up to how many rows an outbox has when their products are read with the
// claim. An outside writer that changes more waits for its own transaction longer than for
// the relay.
const announcedMax = 8

// DrainOutbox claims up to limit outbox rows, oldest first, without those that another
// instance drains, and deletes them when publish returns nil. When the process dies in
// between, the rows are still there: publishing is repeated, not lost.
//
// Errors: those of publish, as they are; those of the database.
func (d *Database) DrainOutbox(ctx context.Context, limit int, publish func(context.Context, []models.Change) error) (int, error) {
	return d.drain(ctx, limit, 0, func(ctx context.Context, changes []models.Change, _ []*models.Stock) error {
		return publish(ctx, changes)
	})
}

// DrainAnnounced is [Database.DrainOutbox] after an announcement. On Postgres publish also
// gets the stock of the products if these are few, read with the claim: as of the changes
// or later. Products that could not be read, or were deleted, are missing.
func (d *Database) DrainAnnounced(ctx context.Context, limit int, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	return d.drain(ctx, limit, announcedMax, publish)
}

func (d *Database) drain(ctx context.Context, limit, ahead int, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var publishErr error // of Redis, not of the database
	drained, err := d.engine.Drain(ctx, limit, ahead, d.bounds.drainIdle, func(ctx context.Context, changes []models.Change, stocks []*models.Stock) error {
		publishErr = publish(ctx, changes, stocks)
		return publishErr
	})
	if publishErr != nil {
		return 0, publishErr
	}
	if err != nil {
		return 0, d.Fault(err)
	}
	return drained, nil
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
