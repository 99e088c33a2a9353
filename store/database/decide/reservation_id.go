package decide

import (
	"encoding/hex"
	"strings"
	"time"

	"onhand/models"
)

const reservationPrefix = "res_"

// ReservationKey turns a reservation's public id into its key of 16 bytes; ok is
// false for any other text.
func ReservationKey(id string) (key [16]byte, ok bool) {
	digits, found := strings.CutPrefix(id, reservationPrefix)
	if !found || len(digits) != 32 || strings.ToLower(digits) != digits {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil
}

// ReservationID turns a reservation's key into its public id.
func ReservationID(key []byte) string { return reservationPrefix + hex.EncodeToString(key) }

// StoredReservation is a reservation with what only the database knows of it.
type StoredReservation struct {
	models.Reservation
	Key         [16]byte
	Fingerprint []byte // of the write that created it
	// RenewedAt is when the time to live was restarted last: at the creation, or by an
	// extension or update.
	RenewedAt time.Time
}

// ttl is the reservation's own time to live: the one that was asked for last.
func (s *StoredReservation) ttl() time.Duration { return s.ExpiresAt.Sub(s.RenewedAt) }

// renew restarts the time to live.
func (s *StoredReservation) renew(now time.Time, ttl time.Duration) {
	s.RenewedAt, s.ExpiresAt = now, now.Add(ttl)
}
