package postgres

import (
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/store/database/ledger"
	"onhand/store/database/optimistic"
)

// ledgerColumns are the ledger rows and chunks of a batch, in the order of decisions.
func ledgerColumns(p *optimistic.Movements) (rows rowColumns, chunks chunkColumns) {
	inRows, inChunks := 0, 0 // movements
	for _, l := range p.Order {
		if n := len(l.Quantities); n < ledger.ChunkMin {
			inRows += n
		} else {
			inChunks += n
		}
	}
	rows, chunks = newRowColumns(inRows), newChunkColumns(len(p.Order), inChunks)
	for _, l := range p.Order {
		if len(l.Quantities) < ledger.ChunkMin {
			rows.add(l)
		} else {
			chunks.add(l)
		}
	}
	return rows, chunks
}

// rowColumns are ledger rows of reservations, as columns.
type rowColumns struct {
	products, locations, quantities *column
	afters                          quantityColumns
	reservations, versions          *column
}

func newRowColumns(n int) rowColumns {
	return rowColumns{textColumn(n, idSize), textColumn(n, idSize), intColumn(n), newQuantityColumns(n), bytesColumn(n, 16), longColumn(n)}
}

func (r *rowColumns) add(l *optimistic.LevelMovements) {
	after := l.Before
	for i, quantity := range l.Quantities {
		after.Available -= int(quantity)
		after.Reserved += int(quantity)
		r.products.text(l.Product)
		r.locations.text(l.Location)
		r.quantities.int(int(quantity))
		r.afters.add(after)
		r.reservations.bytes(l.Keys[16*i : 16*i+16])
		r.versions.long(l.Version)
	}
}

func (r *rowColumns) args() []any {
	return append(append([]any{r.products, r.locations, r.quantities}, r.afters.args()...), r.reservations, r.versions)
}

// chunkColumns are ledger chunks, as columns. One column has the quantities of all
// chunks; places has the index of each chunk's first quantity.
type chunkColumns struct {
	products, locations    *column
	sizes, totals, places  *column
	befores                quantityColumns
	reservations, versions *column
	quantities             *column
}

func newChunkColumns(n, movements int) chunkColumns {
	return chunkColumns{textColumn(n, idSize), textColumn(n, idSize), intColumn(n), intColumn(n), intColumn(n),
		newQuantityColumns(n), newColumn(pgtype.ByteaOID, 1, 16*movements+4*n), longColumn(n), intColumn(movements)}
}

// add adds a level's movements, in as many chunks as they take.
func (c *chunkColumns) add(l *optimistic.LevelMovements) {
	before := l.Before
	for from := 0; from < len(l.Quantities); from += ledger.ChunkMax {
		part := l.Quantities[from:min(from+ledger.ChunkMax, len(l.Quantities))]
		c.places.int(int(c.quantities.n) + 1)
		total := 0
		for _, quantity := range part {
			c.quantities.int(int(quantity))
			total += int(quantity)
		}
		c.products.text(l.Product)
		c.locations.text(l.Location)
		c.sizes.int(len(part))
		c.totals.int(total)
		c.befores.add(before)
		c.reservations.bytes(l.Keys[16*from : 16*(from+len(part))])
		c.versions.long(l.Version)
		before.Available -= total
		before.Reserved += total
	}
}

func (c *chunkColumns) args() []any {
	return append(append([]any{c.products, c.locations, c.sizes, c.totals, c.places}, c.befores.args()...), c.reservations, c.versions, c.quantities)
}
