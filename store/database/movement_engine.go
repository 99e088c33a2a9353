package database

import "time"

// What the ledger needs of the engines.

func (e *postgresEngine) places() string {
	return "json_to_recordset(?::json) AS place(n int, product_id text, id bigint)"
}

func (e *postgresEngine) moment(t time.Time) any { return t }

func (e *postgresEngine) movementTop() string {
	return "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM stock_movements_movement_id_seq)"
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

func (e *sqliteEngine) movementTop() string {
	return "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'stock_movements'), 0)"
}

// committed and txid: with one writer, ids are in the order of commits, so that
// each movement may stand for a transaction.
func (e *sqliteEngine) committed() string {
	return "(SELECT seq || ':' || (seq + 1) || ':' FROM (SELECT " + e.movementTop() + " AS seq))"
}

func (e *sqliteEngine) txid() string       { return "m.movement_id" }
func (e *sqliteEngine) txidColumn() string { return "m.movement_id" }
