package database

import (
	"context"
	"maps"
	"slices"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/readset"
	"onhand/store/database/dialect"
)

// BlockedError says that other transactions keep rows locked that some writes of a
// batch need. Nothing was written. Callers get it as UNAVAILABLE.
type BlockedError struct {
	// Rows has, for every write of the batch, the locked rows it waits for; none for
	// writes that could go ahead.
	Rows [][]dialect.RowRef
}

var errStockLocked = models.Unavailable("another transaction keeps this stock locked; try again", nil)

// Error implements error.
func (e *BlockedError) Error() string { return errStockLocked.Error() }

// Unwrap makes it UNAVAILABLE.
func (e *BlockedError) Unwrap() error { return errStockLocked }

// rowsOf returns the rows that a write names. The products of a reservation are not
// among them: only the database knows those.
func rowsOf(w models.Write) []dialect.RowRef {
	set := readset.Of([]models.Write{w}, []keyhash.KeyHashes{{}})
	rows := make([]dialect.RowRef, 0, len(set.Products)+1)
	for _, id := range set.Products {
		rows = append(rows, dialect.RowRef{Product: id})
	}
	switch w := w.(type) {
	case models.UpdateReservation:
		rows = append(rows, dialect.RowRef{Reservation: w.ID})
	case models.ClaimReservation:
		rows = append(rows, dialect.RowRef{Reservation: w.ID})
	case models.ExtendReservation:
		rows = append(rows, dialect.RowRef{Reservation: w.ID})
	case models.Resolve:
		rows = append(rows, dialect.RowRef{Reservation: w.ID})
	}
	return rows
}

// Locked reports which of these rows other transactions have locked now.
func (d *Database) Locked(ctx context.Context, rows []dialect.RowRef) (dialect.Locks, error) {
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

// blockedWrites finds the rows of a batch that other transactions have locked, and
// which of its writes wait for those that the same transaction had locked earlier
// already. It returns no locks when all rows are free.
func (d *Database) blockedWrites(ctx context.Context, b lockedBatch, earlier dialect.Locks) (dialect.Locks, [][]dialect.RowRef, error) {
	meta, err := d.currentMeta(ctx)
	if err != nil {
		return nil, nil, err
	}
	all := b.all()
	set := readset.Of(all, meta.secret.HashAll(all))
	lines, err := d.engine.LinesOf(ctx, set.Reservations)
	if err != nil {
		return nil, nil, err
	}
	products := slices.Concat(set.Products, slices.Concat(slices.Collect(maps.Values(lines))...))
	slices.Sort(products)
	locks, err := d.engine.Locked(ctx, slices.Compact(products), set.Reservations)
	if err != nil {
		return nil, nil, err
	}
	f := blockers{lines: lines, locks: locks.HeldSince(earlier), byProduct: map[string][]dialect.RowRef{}}
	return locks, f.ofBatch(b), nil
}

// blockers finds the locked rows that writes wait for.
type blockers struct {
	lines map[[16]byte][]string // the products of each reservation
	locks dialect.Locks
	// byProduct has what the overdue reservations of a product wait for. A buyer who is
	// short because of such a reservation waits for the same rows.
	byProduct map[string][]dialect.RowRef
}

// ofBatch returns the blockers of each write of a batch.
func (f *blockers) ofBatch(b lockedBatch) [][]dialect.RowRef {
	for _, w := range b.expiries() {
		found := f.of(w)
		if len(found) == 0 {
			continue
		}
		for _, row := range rowsOf(w) {
			key, _ := decide.ReservationKey(row.Reservation)
			for _, id := range f.lines[key] {
				f.byProduct[id] = found
			}
		}
	}
	rows := make([][]dialect.RowRef, len(b.writes))
	for i, w := range b.writes {
		rows[i] = f.of(w)
	}
	return rows
}

// of returns the blockers of one write.
func (f *blockers) of(w models.Write) (found []dialect.RowRef) {
	for _, row := range rowsOf(w) {
		if f.locks[row] != nil {
			found = append(found, row)
		}
		products := []string{row.Product}
		if key, ok := decide.ReservationKey(row.Reservation); ok {
			products = f.lines[key]
		}
		for _, id := range products {
			if product := (dialect.RowRef{Product: id}); product != row && f.locks[product] != nil {
				found = append(found, product)
			}
			found = append(found, f.byProduct[id]...)
		}
	}
	return found
}
