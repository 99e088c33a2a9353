package database

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"onhand/models"
)

// Bounds of packs.
const (
	// packMax is how many movements a pack holds at most, and so how many ids it
	// takes: the step of the sequence of ids. Who wants one of its movements reads
	// all of them; larger packs would save a writer nothing to speak of.
	packMax = 256
	// packMin is how many movements of a level are worth a pack: a row is read
	// with less.
	packMin = 4
	// packedWithin is how much later than its reservation a movement that is
	// packed may have been written. Packs are looked for by time, since no index
	// holds their reservations.
	packedWithin = time.Second
)

// planMovements are the movements of a plan's holds, by level.
type planMovements struct {
	levels map[levelID]*levelMovements
	order  []*levelMovements // in which they came first
}

// levelMovements are those of one level.
type levelMovements struct {
	levelID
	before     models.Quantities
	version    int64
	quantities []int32
	taken      int
	keys       []byte // 16 bytes a reservation
}

func newPlanMovements() planMovements { return planMovements{levels: map[levelID]*levelMovements{}} }

func (p *planMovements) add(m *models.StockMovement, reservation [16]byte, version int64) {
	id := levelID{m.ProductID, m.LocationID}
	l := p.levels[id]
	if l == nil {
		l = &levelMovements{levelID: id, before: m.After.Minus(m.Delta), version: version}
		p.levels[id], p.order = l, append(p.order, l)
	}
	l.quantities = append(l.quantities, int32(m.Delta.Reserved))
	l.taken += m.Delta.Reserved
	l.keys = append(l.keys, reservation[:]...)
}

// taken is how many units went from available to reserved.
func (p *planMovements) taken(id levelID) int {
	if l := p.levels[id]; l != nil {
		return l.taken
	}
	return 0
}

// columns are the rows and the packs, in the order of decisions.
func (p *planMovements) columns() (rows rowColumns, packs packColumns) {
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
