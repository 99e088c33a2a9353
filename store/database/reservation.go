package database

import (
	"context"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// ReadReservations reads reservations by id with one SELECT, as of the
// database's clock. Unknown ids are left out.
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
	r, err := db.Raw("SELECT "+d.Fragments.Now+", "+dialect.ReservationColumns+" FROM reservations WHERE reservation_id IN ?", keys).Rows()
	if err != nil {
		return nil, d.Fault(err)
	}
	defer r.Close()
	var found []*models.Reservation
	err = dialect.Each(r, dialect.ScanReservationNow, func(s *models.Reservation) { found = append(found, s) })
	return found, d.Fault(err)
}
