package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/rowjson"
)

// Recycled reservation rows equal new ones. Those of an uncommonly large batch are not
// recycled.
func TestReservationRowsAreRecycled(t *testing.T) {
	t.Parallel()
	add := func(rows *reservationRows, id byte) {
		rows.Add(&keyhash.KeyHashes{Reservation: [16]byte{id}, Answer: [16]byte{id}, Fingerprint: [16]byte{id}},
			&models.Reservation{Channel: "web", Lines: []models.ReservationLine{{ProductID: "mug", Requested: 1, Quantity: 1}}}, 0, id == 1)
	}
	arrays := func(rows *reservationRows) (all []string) {
		for _, c := range rows.columns() {
			all = append(all, string(c.array()))
		}
		return all
	}
	used, fresh := newReservationRows(rowjson.JSON{}), newReservationRows(rowjson.JSON{})
	add(used, 1)
	add(used, 2)
	used.fingerprints.null()
	arrays(used)
	require.True(t, used.Reset())
	add(used, 3)
	add(fresh, 3)
	require.Equal(t, arrays(fresh), arrays(used))

	var size int
	for _, c := range used.columns() {
		size += len(c.array())
	}
	used.Args()
	require.Equal(t, size, used.keys.room, "space for the rows of one statement")

	for range reservationRowsKept / 16 {
		add(used, 4)
	}
	require.False(t, used.Reset())
}
