package database

import (
	"context"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
)

// reservationColumns are the stored columns of a reservationRow.
const reservationColumns = "reservation_id, state, lines, channel, owner_ref, holder, order_ref, version, created_at, expires_at, "

// ReadReservations reads reservations by id with one SELECT, as of the database's
// clock. It leaves out unknown ids.
func (d *Database) ReadReservations(ctx context.Context, ids []string) ([]*models.Reservation, error) {
	keys := make([][]byte, 0, len(ids))
	for _, id := range ids {
		if key, ok := decide.ReservationKey(id); ok {
			keys = append(keys, key[:])
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var rows []reservationRow
	if err := db.Select(reservationColumns+d.Fragments.Now+" AS now").Where("reservation_id IN ?", keys).Find(&rows).Error; err != nil {
		return nil, d.Fault(err)
	}
	found := make([]*models.Reservation, len(rows))
	for i := range rows {
		found[i] = rows[i].reservation()
	}
	return found, nil
}

// reservation is the reservation as of the clock that was read with it.
func (r *reservationRow) reservation() *models.Reservation {
	stored := models.Reservation{
		ID: decide.ReservationID(r.ReservationID), State: r.State, Lines: r.Lines, Channel: r.Channel,
		Owner: r.OwnerRef, Holder: r.Holder, Order: r.OrderRef, Version: r.Version, CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
	at := stored.At(r.Now.Truncate(time.Microsecond))
	return &at
}

// Bounds of the retention of idempotency keys.
const (
	// keyLife is how long the first answer to a key is kept.
	keyLife = 48 * time.Hour
	// deleteBatch is how many answers one statement deletes, so that each statement has
	// the deadline of a read; deleteRounds bounds the statements of one call.
	deleteBatch  = 5000
	deleteRounds = 1000
)

// DeleteOldKeys deletes the answers of idempotency keys past their life.
func (d *Database) DeleteOldKeys(ctx context.Context) error {
	for range deleteRounds {
		deleted, err := d.deleteOldKeys(ctx)
		if err != nil || deleted < deleteBatch {
			return err
		}
	}
	return nil
}

func (d *Database) deleteOldKeys(ctx context.Context) (deleted int64, err error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	old := db.Model(&idempotencyKeyRow{}).Select("key_hash").Where("created_at < "+d.Fragments.Ago, int64(keyLife/time.Second)).Limit(deleteBatch)
	done := db.Where("key_hash IN (?)", old).Delete(&idempotencyKeyRow{})
	return done.RowsAffected, d.Fault(done.Error)
}
