package postgres

import (
	"database/sql"
	"fmt"

	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
)

// postgresFragments is the SQL of Postgres where it differs from that of SQLite.
var fragments = dialect.Fragments{
	IDs:        `(SELECT value AS product_id FROM json_array_elements_text(?::json) AS value)`,
	Places:     "json_to_recordset(?::json) AS place(n int, product_id text, id bigint)",
	Now:        "clock_timestamp()",
	Ago:        "clock_timestamp() - make_interval(secs => ?)",
	Sequence:   "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_sequence)",
	OneCore:    "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)",
	Snapshot:   sql.LevelRepeatableRead,
	SkipLocked: "FOR UPDATE SKIP LOCKED",
	OpenReservations: `SELECT (line->>'productId') COLLATE "C" AS product_id, (a.part->>'locationId') COLLATE "C" AS location_id, r.state, r.alike,
			(a.part->>'quantity')::bigint AS quantity, g.gone,
			CASE WHEN g.gone > 0 THEN (SELECT sum((x.part->>'quantity')::bigint)
				FROM jsonb_array_elements(line->'allocations') WITH ORDINALITY AS x(part, place) WHERE x.place <= a.place) END AS through
		FROM (` + dialect.OpenReservationLines + `) r
		CROSS JOIN LATERAL jsonb_array_elements(r.lines::jsonb) AS line
		CROSS JOIN LATERAL (SELECT coalesce((line->>'fulfilled')::bigint, 0) + coalesce((line->>'cancelled')::bigint, 0) AS gone) g
		CROSS JOIN LATERAL jsonb_array_elements(line->'allocations') WITH ORDINALITY AS a(part, place)`,

	LedgerRows:    "stock_movement_rows",
	LedgerEntries: "stock_movement_entries",
	// Looked up product by product, so that no other chunk is unpacked (OFFSET 0).
	LedgerEntriesOf: `CROSS JOIN LATERAL (SELECT * FROM stock_movement_entries x
			WHERE x.product_id = s.product_id AND x.movement_id >= s.first_id OFFSET 0) m`,
	// A step of the sequence is as many ids as a chunk may have.
	LedgerStep: ledger.ChunkMax,
	LedgerEnd: fmt.Sprintf(`(SELECT CASE WHEN is_called THEN last_value + %d ELSE 0 END FROM stock_movements_movement_id_seq),
		(SELECT seqstart FROM pg_sequence WHERE seqrelid = 'stock_movements_movement_id_seq'::regclass)`, ledger.ChunkMax-1),
	ChunksAfter: fmt.Sprintf(`UNION ALL SELECT a.n, p.location_id, rest.quantity, -rest.quantity, 0, 0, 0, 0, 0
			FROM a JOIN stock_movement_packs p ON p.product_id = a.product_id AND p.first_id > a.id - %d AND p.first_id <= a.id AND p.first_id + p.size - 1 > a.id
			CROSS JOIN LATERAL (SELECT sum(q) AS quantity FROM unnest(p.quantities[(a.id - p.first_id + 2)::integer:]) q) rest`, ledger.ChunkMax),
	Committed: "pg_current_snapshot()::text",
	// The transaction that restored a row from a dump is younger or older than the one
	// the row names. Only a younger one (of a savepoint) belongs to it.
	TxID:       "CASE WHEN (m.xmin::text::bigint - m.txid) & 4294967295 < 2147483648 THEN m.txid ELSE 0 END",
	TxIDColumn: "m.txid",
}
