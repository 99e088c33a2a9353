package postgres

// The rows of a batch that has committed are used for the next batch: their columns are
// most of what a reservation allocates. Gain: 3,500 -> 2,750 bytes for a reservation
// (docs/decisions.md, record 28). [dialect.Switches] NoRecycling switches it off.

import (
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/optimistic"
)

// rowsPool keeps the rows of one batch for another.
type rowsPool struct {
	spare atomic.Pointer[optimistic.ReservationRows]
}

// NewRows implements [optimistic.BatchEngine].
func (e *Engine) NewRows() optimistic.ReservationRows {
	if rows := e.rows.spare.Swap(nil); rows != nil {
		return *rows
	}
	return newReservationRows(e.json())
}

// Recycle implements [optimistic.BatchEngine].
func (e *Engine) Recycle(rows optimistic.ReservationRows) {
	if !e.without.NoRecycling && rows.Reset() {
		e.rows.spare.Store(&rows)
	}
}

// reservationRows are the rows of new reservations, as columns.
type reservationRows struct{ keys, lines, channels, owners, holders, fingerprints, ttls, counted *column }

// reservationRowsKept bounds the memory that is kept for the next batch, in bytes.
const reservationRowsKept = 1 << 20

func newReservationRows(form rowjson.JSON) *reservationRows {
	return &reservationRows{bytesColumn(1, 16), linesColumn(1, form), textColumn(1, 0), textColumn(1, 0), textColumn(1, 0), bytesColumn(1, 16), longColumn(1), intColumn(1)}
}

func (r *reservationRows) columns() []*column {
	return []*column{r.keys, r.lines, r.channels, r.owners, r.holders, r.fingerprints, r.ttls, r.counted}
}

// Add implements [ReservationRows].
func (r *reservationRows) Add(hashes *keyhash.KeyHashes, reservation *models.Reservation, ttl time.Duration, counted bool) {
	r.keys.bytes(hashes.Reservation[:])
	r.lines.lines(reservation.Lines)
	r.channels.text(reservation.Channel)
	r.owners.text(reservation.Owner)
	r.holders.text(string(reservation.Holder))
	r.fingerprints.bytes(hashes.Fingerprint[:])
	r.ttls.long(ttl.Microseconds())
	r.counted.int(one(counted))
}

// Args implements [ReservationRows].
func (r *reservationRows) Args() []any {
	return parameters(r.keys, r.lines, r.channels, r.owners, r.holders, r.fingerprints, r.ttls, r.counted)
}

// Reset implements [ReservationRows].
func (r *reservationRows) Reset() bool {
	kept := 0
	for _, c := range r.columns() {
		c.reset()
		kept += cap(c.buf)
	}
	return kept <= reservationRowsKept
}
