package database

import (
	"encoding/hex"
	"strings"

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

// storedReservation is a reservation with what only the database knows of it.
type storedReservation struct {
	models.Reservation
	key         [16]byte
	fingerprint []byte
}
