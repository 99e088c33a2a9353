package database

import "github.com/jackc/pgx/v5/pgtype"

// columns are the rows and the packs, in the order of decisions.
func ledgerColumns(p *planMovements) (rows rowColumns, packs packColumns) {
	single, packed := 0, 0 // movements
	for _, l := range p.order {
		if n := len(l.quantities); n < packMin {
			single += n
		} else {
			packed += n
		}
	}
	rows, packs = newRowColumns(single), newPackColumns(len(p.order), packed)
	for _, l := range p.order {
		if len(l.quantities) < packMin {
			rows.add(l)
		} else {
			packs.add(l)
		}
	}
	return rows, packs
}

// rowColumns are movements of holds as rows of their own, as columns.
type rowColumns struct {
	products, locations, quantities *column
	afters                          quantityColumns
	reservations, versions          *column
}

func newRowColumns(n int) rowColumns {
	return rowColumns{textColumn(n, idSize), textColumn(n, idSize), intColumn(n), newQuantityColumns(n), bytesColumn(n, 16), longColumn(n)}
}

func (r *rowColumns) add(l *levelMovements) {
	after := l.before
	for i, quantity := range l.quantities {
		after.Available -= int(quantity)
		after.Reserved += int(quantity)
		r.products.text(l.product)
		r.locations.text(l.location)
		r.quantities.int(int(quantity))
		r.afters.add(after)
		r.reservations.bytes(l.keys[16*i : 16*i+16])
		r.versions.long(l.version)
	}
}

func (r *rowColumns) args() []any {
	return append(append([]any{r.products, r.locations, r.quantities}, r.afters.args()...), r.reservations, r.versions)
}

// packColumns are packs, as columns. The quantities of all lie in one, each
// pack's from its place on.
type packColumns struct {
	products, locations    *column
	sizes, totals, places  *column
	befores                quantityColumns
	reservations, versions *column
	quantities             *column
}

func newPackColumns(n, movements int) packColumns {
	return packColumns{textColumn(n, idSize), textColumn(n, idSize), intColumn(n), intColumn(n), intColumn(n),
		newQuantityColumns(n), newColumn(pgtype.ByteaOID, 1, 16*movements+4*n), longColumn(n), intColumn(movements)}
}

// add adds a level's movements, in as many packs as they take.
func (p *packColumns) add(l *levelMovements) {
	before := l.before
	for from := 0; from < len(l.quantities); from += packMax {
		part := l.quantities[from:min(from+packMax, len(l.quantities))]
		p.places.int(int(p.quantities.n) + 1)
		total := 0
		for _, quantity := range part {
			p.quantities.int(int(quantity))
			total += int(quantity)
		}
		p.products.text(l.product)
		p.locations.text(l.location)
		p.sizes.int(len(part))
		p.totals.int(total)
		p.befores.add(before)
		p.reservations.bytes(l.keys[16*from : 16*(from+len(part))])
		p.versions.long(l.version)
		before.Available -= total
		before.Reserved += total
	}
}

func (p *packColumns) args() []any {
	return append(append([]any{p.products, p.locations, p.sizes, p.totals, p.places}, p.befores.args()...), p.reservations, p.versions, p.quantities)
}
