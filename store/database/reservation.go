package database

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"onhand/models"
)

const reservationPrefix = "res_"

// reservationKey turns a reservation's public id into its 16 byte key; ok is
// false for what cannot be one.
func reservationKey(id string) (key [16]byte, ok bool) {
	digits, found := strings.CutPrefix(id, reservationPrefix)
	if !found || len(digits) != 32 || strings.ToLower(digits) != digits {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil
}

func reservationID(key []byte) string { return reservationPrefix + hex.EncodeToString(key) }

const reservationColumns = "reservation_id, state, lines, channel, owner_ref, order_ref, fingerprint, version, created_at, expires_at"

// storedReservation is a reservation with what only the database knows of it.
type storedReservation struct {
	models.Reservation
	key         [16]byte
	fingerprint []byte
}

func scanReservation(r rows) (*storedReservation, error) {
	var (
		s                  storedReservation
		key, lines         []byte
		createdAt, expires instant
	)
	err := r.Scan(&key, &s.State, &lines, &s.Channel, &s.Owner, &s.Order, &s.fingerprint, &s.Version, &createdAt, &expires)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(lines, &s.Lines); err != nil {
		return nil, fmt.Errorf("lines of reservation %x: %w", key, err)
	}
	copy(s.key[:], key)
	s.ID, s.CreatedAt, s.ExpiresAt = reservationID(key), createdAt.Time, expires.Time
	return &s, nil
}

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
	r, err := db.Raw("SELECT "+d.engine.now()+", "+reservationColumns+" FROM reservations WHERE reservation_id IN ?", keys).Rows()
	if err != nil {
		return nil, d.fault(err)
	}
	defer r.Close()
	var found []*models.Reservation
	err = each(r, scanReservationNow, func(s *models.Reservation) { found = append(found, s) })
	return found, d.fault(err)
}

// scanReservationNow scans a clock and a reservation, and brings them together.
func scanReservationNow(r rows) (*models.Reservation, error) {
	var now instant
	s, err := scanReservation(leading{r, &now})
	if err != nil {
		return nil, err
	}
	at := s.At(now.Time.Truncate(time.Microsecond))
	return &at, nil
}

// leading scans one more column in front of the others.
type leading struct {
	rows
	first any
}

func (l leading) Scan(dest ...any) error {
	return l.rows.Scan(append([]any{l.first}, dest...)...)
}
