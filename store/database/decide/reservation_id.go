package decide

import (
	"encoding/hex"
	"strings"

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
}
