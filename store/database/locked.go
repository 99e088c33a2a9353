package database

import (
	"context"
	"maps"
	"slices"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// LockedError says that somebody else keeps rows locked. Nothing was written.
// To callers it is UNAVAILABLE.
type BlockedError struct {
	// By has, for every write of the batch, the locked rows it waits for; none
	// for writes that could go ahead.
	Rows [][]models.RowRef
}

var errStockLocked = models.Unavailable("somebody else keeps this stock locked; try again", nil)

// Error implements error.
func (e *BlockedError) Error() string { return errStockLocked.Error() }

// Unwrap makes it UNAVAILABLE.
func (e *BlockedError) Unwrap() error { return errStockLocked }

// RowsOf are the rows that a write names. A reservation's products are not
// among them: only the database knows those.
func RowsOf(w models.Write) []models.RowRef {
	wants := decide.ReadSetOf([]models.Write{w}, []decide.KeyHashes{{}})
	rows := make([]models.RowRef, 0, len(wants.Products)+1)
	for _, id := range wants.Products {
		rows = append(rows, models.RowRef{Product: id})
	}
	if id := reservationNamed(w); id != "" {
		rows = append(rows, models.RowRef{Reservation: id})
	}
	return rows
}

func reservationNamed(w models.Write) string {
	switch w := w.(type) {
	case models.UpdateReservation:
		return w.ID
	case models.ExtendReservation:
		return w.ID
	case models.Resolve:
		return w.ID
	}
	return ""
}

// Locked tells which of these rows somebody else has locked right now.
func (d *Database) Locked(ctx context.Context, rows []models.RowRef) (models.Locks, error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	var (
		products     []string
		reservations [][16]byte
	)
	for _, row := range rows {
		if key, ok := decide.ReservationKey(row.Reservation); ok {
			reservations = append(reservations, key)
		} else if row.Product != "" {
			products = append(products, row.Product)
		}
	}
	locks, err := d.engine.Locked(ctx, products, reservations)
	return locks, d.Fault(err)
}

// whoWaits finds the rows of a batch that somebody else has locked, and which
// of its writes wait for those that were locked by the same transaction already
// earlier. models.Locks are empty when all has been let go.
func (d *Database) blockedWrites(ctx context.Context, b writeBatch, earlier models.Locks) (models.Locks, [][]models.RowRef, error) {
	meta, err := d.currentMeta(ctx)
	if err != nil {
		return nil, nil, err
	}
	all := b.all()
	wants := decide.ReadSetOf(all, meta.secret.HashAll(all))
	lines, err := d.engine.LinesOf(ctx, wants.Reservations)
	if err != nil {
		return nil, nil, err
	}
	products := slices.Concat(wants.Products, slices.Concat(slices.Collect(maps.Values(lines))...))
	slices.Sort(products)
	locks, err := d.engine.Locked(ctx, slices.Compact(products), wants.Reservations)
	if err != nil {
		return nil, nil, err
	}
	return locks, blockersOf(b, lines, locks.HeldSince(earlier)), nil
}

// waitingFor says which locks each write waits for. A buyer who is short
// because of a hold past its time waits for what locks that hold.
func blockersOf(b writeBatch, lines map[[16]byte][]string, locks models.Locks) [][]models.RowRef {
	behind := map[string][]models.RowRef{} // by product: what holds of it past their time wait for
	waits := func(w models.Write) (found []models.RowRef) {
		for _, row := range RowsOf(w) {
			if locks[row] != nil {
				found = append(found, row)
			}
			products := []string{row.Product}
			if key, ok := decide.ReservationKey(row.Reservation); ok {
				products = lines[key]
			}
			for _, id := range products {
				if held := (models.RowRef{Product: id}); held != row && locks[held] != nil {
					found = append(found, held)
				}
				found = append(found, behind[id]...)
			}
		}
		return found
	}
	for _, w := range b.expiries() {
		if found := waits(w); len(found) > 0 {
			for _, row := range RowsOf(w) {
				key, _ := decide.ReservationKey(row.Reservation)
				for _, id := range lines[key] {
					behind[id] = found
				}
			}
		}
	}
	by := make([][]models.RowRef, len(b.writes))
	for i, w := range b.writes {
		by[i] = waits(w)
	}
	return by
}
