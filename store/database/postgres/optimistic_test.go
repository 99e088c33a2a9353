package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/rowjson"
)

// The first column of a statement has space for all.
func TestReservationRowsHaveSpaceForOneStatement(t *testing.T) {
	t.Parallel()
	rows := newReservationRows(rowjson.JSON{})
	rows.Add(&keyhash.KeyHashes{Reservation: [16]byte{1}, Fingerprint: [16]byte{1}},
		&models.Reservation{Channel: "web", Lines: []models.ReservationLine{{ProductID: "mug", Requested: 1, Quantity: 1}}}, 0, true, true)
	var size int
	for _, arg := range rows.Args() {
		size += len(arg.(*column).array())
	}
	require.Equal(t, size, rows.keys.room)
}
