package dialect

import (
	"database/sql"
	"time"
)

// Fragments is the SQL that differs between the engines, as data. Parameters are
// written as question marks.
type Fragments struct {
	// IDs is a table of one column "product_id" made from a parameter of [JSONList].
	IDs string
	// MovementRefs is a table "n, product_id, id" made from a parameter of JSON.
	MovementRefs string
	// Now is the database's clock. Ago is the moment as many seconds before now as
	// its parameter says.
	Now, Ago string
	// Sequence is the largest outbox id ever given.
	Sequence string
	// OneCore is a statement that keeps the queries of its transaction on one core
	// and uncompiled; empty where that is always so.
	OneCore string
	// SlowReader is a statement that lets the client of its transaction stop reading for as
	// long as it wants; empty where that is always so.
	SlowReader string
	// Snapshot is the isolation in which a transaction reads one moment.
	Snapshot sql.IsolationLevel
	// MicrosecondTimes says that times are stored as microseconds since 1970.
	MicrosecondTimes bool
	// OneWriter says that a write transaction stops every other one.
	OneWriter bool
	// SkipLocked is the clause that passes over rows that another transaction locked.
	SkipLocked string
	// OpenReservations is the allocations of open reservations. Columns: product_id,
	// location_id, the reservation's state, the number of reservations with this state
	// and these lines (alike), the allocation's quantity, the units of its line that
	// were fulfilled or cancelled (gone), and the sum of the line's allocations up to
	// this one (through; may be null where gone is 0).
	OpenReservations string

	// TitleKey is the title of a product p, empty for none, as an index orders it.
	TitleKey string
	// ReservesProduct says whether a reservation r has a line of a product, its
	// parameter.
	ReservesProduct string

	// LedgerRows is the table of movements that are rows of their own.
	LedgerRows string
	// LedgerEntries is the ledger as it is stored, one entry each for a row and for a
	// chunk of many movements: movement_id (of the first) to last_id, size, the deltas
	// together, the quantities after the last, and whether it is sound.
	LedgerEntries string
	// LedgerEntriesOf joins the entries as m to s, products with a first id.
	LedgerEntriesOf string
	// EntriesBefore joins to a (product_id, id) the newest entries m of the product below
	// that id, without their quantities after. Each of its parameters is their bound.
	EntriesBefore string
	// MovedMicros is the time of the entry m, in microseconds since 1970.
	MovedMicros string
	// LedgerStep is how many ids an entry takes. Above 1 there are chunks.
	LedgerStep int64
	// LedgerEnd is the largest movement id ever given.
	LedgerEnd string
	// ChunksAfter is the rest of the chunk that a movement is in, for the levels
	// after that movement; empty where there are no chunks.
	ChunksAfter string
	// Committed is what has committed, in the form of pg_current_snapshot().
	Committed string
	// TxID is the transaction that wrote the ledger entry m, 0 when that was in a
	// database it was copied from. TxIDColumn is that as it is stored.
	TxID, TxIDColumn string
}

// Moment is a time as a parameter of a statement.
func (f *Fragments) Moment(t time.Time) any {
	if f.MicrosecondTimes {
		return t.UnixMicro()
	}
	return t
}

// OpenReservationLines groups open reservations of the same lines: in a rush there
// are many, and splitting lines is most of the work.
const OpenReservationLines = `SELECT state, CAST(lines AS text) AS lines, count(*) AS alike FROM reservations
			WHERE state IN ('ACTIVE', 'COMMITTED') GROUP BY state, CAST(lines AS text)`
