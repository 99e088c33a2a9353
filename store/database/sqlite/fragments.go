package sqlite

import (
	"database/sql"

	"onhand/store/database/dialect"
)

const (
	entriesSQL      = "(SELECT *, movement_id AS last_id, 1 AS size, true AS sound FROM stock_movements)"
	lastMovementSQL = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'stock_movements'), 0)"
)

// fragments is the SQL of SQLite where the engines differ. SQLite has one
// writer, so movement ids are in the order of commits, and each movement may stand for a
// transaction.
var fragments = dialect.Fragments{
	IDs:              `(SELECT value AS product_id FROM json_each(?))`,
	MovementRefs:     "(SELECT value->>'n' AS n, value->>'product_id' AS product_id, value->>'id' AS id FROM json_each(?))",
	Now:              nowSQL,
	Ago:              nowSQL + " - ? * 1000000",
	Sequence:         "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)",
	Snapshot:         sql.LevelDefault,
	MicrosecondTimes: true,
	OneWriter:        true,
	OpenReservations: `SELECT json_extract(line.value, '$.productId') AS product_id, json_extract(part.value, '$.locationId') AS location_id, r.state, r.alike,
			json_extract(part.value, '$.quantity') AS quantity,
			coalesce(json_extract(line.value, '$.fulfilled'), 0) + coalesce(json_extract(line.value, '$.cancelled'), 0) AS gone,
			(SELECT sum(json_extract(x.value, '$.quantity')) FROM json_each(line.value, '$.allocations') x WHERE x.key <= part.key) AS through
		FROM (` + dialect.OpenReservationLines + `) r, json_each(r.lines) line, json_each(line.value, '$.allocations') part`,

	TitleKey:        "coalesce(p.title, '')",
	ReservesProduct: "EXISTS (SELECT 1 FROM json_each(r.lines) line WHERE json_extract(line.value, '$.productId') = ?)",

	LedgerRows:      "stock_movements",
	LedgerEntries:   entriesSQL,
	LedgerEntriesOf: "JOIN " + entriesSQL + " m ON m.product_id = s.product_id AND m.movement_id >= s.first_id",
	EntriesBefore: `JOIN stock_movements m ON m.movement_id IN (SELECT x.movement_id FROM stock_movements x
			WHERE x.product_id = a.product_id AND x.movement_id < a.id ORDER BY x.movement_id DESC LIMIT ?)`,
	MovedMicros: "m.created_at",
	LedgerStep:  1,
	LedgerEnd:   lastMovementSQL,
	Committed:   "(SELECT seq || ':' || (seq + 1) || ':' FROM (SELECT " + lastMovementSQL + " AS seq))",
	TxID:        "m.movement_id",
	TxIDColumn:  "m.movement_id",
}
