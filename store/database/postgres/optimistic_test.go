package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/decide"
)

// Rows that were used before are as new ones; those of an uncommonly large plan are not
// kept.
func TestHeldRowsAreUsedAgain(t *testing.T) {
	t.Parallel()
	hold := func(rows *reservationRows, id byte) {
		rows.Add(&decide.KeyHashes{Reservation: [16]byte{id}, Answer: [16]byte{id}, Fingerprint: [16]byte{id}},
			&models.Reservation{Channel: "web", Lines: []models.ReservationLine{{ProductID: "mug", Requested: 1, Quantity: 1}}}, 0)
	}
	arrays := func(rows *reservationRows) (all []string) {
		for _, c := range rows.columns() {
			all = append(all, string(c.array()))
		}
		return all
	}
	used, fresh := newReservationRows(), newReservationRows()
	hold(used, 1)
	hold(used, 2)
	used.fingerprints.null()
	arrays(used)
	require.True(t, used.Reset())
	hold(used, 3)
	hold(fresh, 3)
	require.Equal(t, arrays(fresh), arrays(used))

	var size int
	for _, c := range used.columns() {
		size += len(c.array())
	}
	used.Args()
	require.Equal(t, size-len(used.answers.buf), used.keys.room, "room for those of one statement")

	for range reservationRowsKept / 16 {
		hold(used, 4)
	}
	require.False(t, used.Reset())
}
