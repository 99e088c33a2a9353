package database

import (
	"fmt"
	"time"
)

// What the ledger needs of the engines.

func (e *postgresEngine) places() string {
	return "json_to_recordset(?::json) AS place(n int, product_id text, id bigint)"
}

func (e *postgresEngine) moment(t time.Time) any { return t }

// ledger is where a movement is written that goes into no pack.
func (e *postgresEngine) ledger() string { return "stock_movement_rows" }

func (e *postgresEngine) entries() string { return "stock_movement_entries" }

// entriesOfSpan: looked up product by product, so that no other pack is looked
// into (OFFSET 0).
func (e *postgresEngine) entriesOfSpan() string {
	return `CROSS JOIN LATERAL (SELECT * FROM stock_movement_entries x
			WHERE x.product_id = s.product_id AND x.movement_id >= s.first_id OFFSET 0) m`
}

// movementStep: the sequence goes on by it, and a pack has as many ids.
func (e *postgresEngine) movementStep() int64 { return packMax }

func (e *postgresEngine) movementEnds() string {
	return fmt.Sprintf(`(SELECT CASE WHEN is_called THEN last_value + %d ELSE 0 END FROM stock_movements_movement_id_seq),
		(SELECT seqstart FROM pg_sequence WHERE seqrelid = 'stock_movements_movement_id_seq'::regclass)`, packMax-1)
}

// packedAfter: the rest of the pack that the movement is in.
func (e *postgresEngine) packedAfter() string {
	return fmt.Sprintf(`UNION ALL SELECT a.n, p.location_id, rest.quantity, -rest.quantity, 0, 0, 0, 0, 0
			FROM a JOIN stock_movement_packs p ON p.product_id = a.product_id AND p.first_id > a.id - %d AND p.first_id <= a.id AND p.first_id + p.size - 1 > a.id
			CROSS JOIN LATERAL (SELECT sum(q) AS quantity FROM unnest(p.quantities[(a.id - p.first_id + 2)::integer:]) q) rest`, packMax)
}

func (e *postgresEngine) committed() string { return "pg_current_snapshot()::text" }

// txid: a row that came with a dump was written here by a transaction that is
// younger or older than the number it brought along says. Only a younger one
// (of a savepoint) belongs to it.
func (e *postgresEngine) txid() string {
	return "CASE WHEN (m.xmin::text::bigint - m.txid) & 4294967295 < 2147483648 THEN m.txid ELSE 0 END"
}

func (e *postgresEngine) txidColumn() string { return "m.txid" }

func (e *sqliteEngine) places() string {
	return "(SELECT value->>'n' AS n, value->>'product_id' AS product_id, value->>'id' AS id FROM json_each(?))"
}

func (e *sqliteEngine) moment(t time.Time) any { return micros(t) }

func (e *sqliteEngine) ledger() string { return "stock_movements" }

func (e *sqliteEngine) entries() string {
	return "(SELECT *, movement_id AS last_id, 1 AS size, true AS sound FROM stock_movements)"
}

func (e *sqliteEngine) entriesOfSpan() string {
	return "JOIN " + e.entries() + " m ON m.product_id = s.product_id AND m.movement_id >= s.first_id"
}

func (e *sqliteEngine) movementStep() int64 { return 1 }

func (e *sqliteEngine) movementEnds() string { return sqliteMovementTop + ", 1" }

const sqliteMovementTop = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'stock_movements'), 0)"

func (e *sqliteEngine) packedAfter() string { return "" }

// committed and txid: with one writer, ids are in the order of commits, so that
// each movement may stand for a transaction.
func (e *sqliteEngine) committed() string {
	return "(SELECT seq || ':' || (seq + 1) || ':' FROM (SELECT " + sqliteMovementTop + " AS seq))"
}

func (e *sqliteEngine) txid() string       { return "m.movement_id" }
func (e *sqliteEngine) txidColumn() string { return "m.movement_id" }
