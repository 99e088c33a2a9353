package database

import (
	"context"

	"onhand/models"
)

// ReadReservations reads reservations by id with one SELECT, as of the
// database's clock. Unknown ids are left out.
func (d *Database) ReadReservations(ctx context.Context, ids []string) ([]*models.Reservation, error) {
	keys := make([][]byte, 0, len(ids))
	for _, id := range ids {
		if key, ok := reservationKey(id); ok {
			keys = append(keys, key[:])
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	db, cancel := d.reading(ctx)
	defer cancel()
	r, err := db.Raw("SELECT "+d.Fragments.Now+", "+reservationColumns+" FROM reservations WHERE reservation_id IN ?", keys).Rows()
	if err != nil {
		return nil, d.fault(err)
	}
	defer r.Close()
	var found []*models.Reservation
	err = each(r, scanReservationNow, func(s *models.Reservation) { found = append(found, s) })
	return found, d.fault(err)
}
