package postgres

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/store/database/decide"
	"onhand/store/database/decide/counting"
	"onhand/store/database/dialect"
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

// movedSinceSQL says what the ledger has of levels since moments.
var movedSinceSQL = "SELECT " + dialect.BasisColumns + " FROM onhand_moved_since($1::text[], $2::text[], $3::timestamptz[], $4, $5)"

// queueCounts reads what the ledger says of the levels that were counted earlier.
func queueCounts(b *pgx.Batch, u *decide.UnitOfWork, refs []counting.Ref) {
	n := len(refs)
	if n == 0 {
		return
	}
	products, locations, moments := textColumn(n, idSize), textColumn(n, idSize), timeColumn(n)
	for _, ref := range refs {
		products.text(ref.Product)
		locations.text(ref.Location)
		moments.time(ref.At)
	}
	b.Queue(movedSinceSQL, products, locations, moments, counting.EntriesMax, counting.EntriesTotalMax).Query(func(r pgx.Rows) error {
		return dialect.Each(r, dialect.ScanBasis, u.Counts.Add)
	})
}

const eachCount = "SELECT unnest($1::text[]) AS product_id, unnest($2::text[]) AS location_id, unnest($3::text[]) AS state, unnest($4::timestamptz[]) AS counted_at"

var (
	deleteCountsSQL = `DELETE FROM stock_counts c USING (` + eachCount + `) v
		WHERE c.product_id = v.product_id AND c.location_id = v.location_id AND c.state = v.state AND c.written_at <= v.counted_at`

	insertCountsSQL = `INSERT INTO stock_counts (product_id, location_id, state, counted_at, written_at, correction)
		` + eachCount + `, $5::timestamptz, unnest($6::int[])
		ON CONFLICT (product_id, location_id, state, written_at) DO UPDATE
		SET counted_at = greatest(stock_counts.counted_at, excluded.counted_at), correction = stock_counts.correction + excluded.correction`
)

// queueRecords writes the counts of a batch.
func (t *transaction) queueRecords(b *pgx.Batch, u *decide.UnitOfWork) {
	list := u.Counts.Records()
	n := len(list)
	if n == 0 {
		return
	}
	products, locations, states := textColumn(n, idSize), textColumn(n, idSize), textColumn(n, reasonSize)
	moments, corrections := timeColumn(n), intColumn(n)
	for _, r := range list {
		products.text(r.Product)
		locations.text(r.Location)
		states.text(string(r.State))
		moments.time(r.CountedAt)
		corrections.int(r.Correction)
	}
	b.Queue(deleteCountsSQL, products, locations, states, moments)
	b.Queue(insertCountsSQL, products, locations, states, moments, u.Now, corrections)
}

// queueMovements writes the entries of the ledger.
func (t *transaction) queueMovements(b *pgx.Batch, u *decide.UnitOfWork) {
	n := len(u.Movements)
	if n == 0 {
		return
	}
	products, locations, reasons := textColumn(n, idSize), textColumn(n, idSize), textColumn(n, reasonSize)
	notes, references, actors := textColumn(n, 0), textColumn(n, 0), textColumn(n, 0)
	reservations, versions := bytesColumn(n, 16), longColumn(n)
	deltas, afters := newQuantityColumns(n), newQuantityColumns(n)
	for i := range u.Movements {
		m := &u.Movements[i]
		products.text(m.ProductID)
		locations.text(m.LocationID)
		deltas.add(m.Delta)
		afters.add(m.After)
		reasons.text(string(m.Reason))
		notes.text(m.Note)
		references.text(m.Reference)
		actors.text(m.Actor)
		if key, ok := decide.ReservationKey(m.ReservationID); ok {
			reservations.bytes(key[:])
		} else {
			reservations.null()
		}
		versions.long(u.Products[m.ProductID].Version + 1)
	}
	args := append([]any{products, locations}, deltas.args()...)
	args = append(args, afters.args()...)
	b.Queue(insertMovementsSQL, append(args, reasons, notes, references, actors, reservations, versions, u.Now)...)
}
