package postgres

import (
	"time"

	"onhand/models"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/optimistic"
)

// NewRows implements [optimistic.BatchEngine].
func (e *Engine) NewRows() optimistic.ReservationRows { return newReservationRows(e.json()) }

// reservationRows are the rows of new reservations, as columns.
type reservationRows struct{ keys, lines, channels, owners, holders, fingerprints, ttls, flags *column }

func newReservationRows(form rowjson.JSON) *reservationRows {
	return &reservationRows{bytesColumn(1, 16), linesColumn(1, form), textColumn(1, 0), textColumn(1, 0), textColumn(1, 0), bytesColumn(1, 16), longColumn(1), intColumn(1)}
}

// Add implements [ReservationRows].
func (r *reservationRows) Add(hashes *keyhash.KeyHashes, reservation *models.Reservation, ttl time.Duration, counted, inPurchases bool) {
	r.keys.bytes(hashes.Reservation[:])
	r.lines.lines(reservation.Lines)
	r.channels.text(reservation.Channel)
	r.owners.text(reservation.Owner)
	r.holders.text(string(reservation.Holder))
	r.fingerprints.bytes(hashes.Fingerprint[:])
	r.ttls.long(ttl.Microseconds())
	r.flags.int(flagsOf(counted, inPurchases))
}

// Args implements [ReservationRows].
func (r *reservationRows) Args() []any {
	return parameters(r.keys, r.lines, r.channels, r.owners, r.holders, r.fingerprints, r.ttls, r.flags)
}
