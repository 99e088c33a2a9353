package postgres

import (
	"database/sql"
	"fmt"

	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
)

// fragments is the SQL of Postgres where the engines differ.
var fragments = dialect.Fragments{
	IDs:          `(SELECT value AS product_id FROM json_array_elements_text(?::json) AS value)`,
	MovementRefs: "json_to_recordset(?::json) AS place(n int, product_id text, id bigint)",
	Now:          "clock_timestamp()",
	Ago:          "clock_timestamp() - make_interval(secs => ?)",
	Sequence:     "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_sequence)",
	OneCore:      "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)",
	// Linux counts the time in which a client accepts no more data.
	SlowReader: "SELECT set_config('tcp_user_timeout', '0', true)",
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

	TitleKey:        `(coalesce(p.title, '') COLLATE "C")`,
	ReservesProduct: "EXISTS (SELECT 1 FROM json_array_elements(r.lines) line WHERE line->>'productId' = ?)",

	LedgerRows:    "ledger_rows",
	LedgerEntries: "ledger_entries",
	// Looked up product by product, so that no other chunk is unpacked (OFFSET 0).
	LedgerEntriesOf: `CROSS JOIN LATERAL (SELECT * FROM ledger_entries x
			WHERE x.product_id = s.product_id AND x.movement_id >= s.first_id OFFSET 0) m`,
	EntriesBefore: `CROSS JOIN LATERAL (
			(SELECT x.movement_id, x.location_id, ` + dialect.PerState("x.$_delta", ", ") + `, x.created_at FROM ledger_rows x
				WHERE x.product_id = a.product_id AND x.movement_id < a.id ORDER BY x.movement_id DESC LIMIT ?)
			UNION ALL
			(SELECT x.first_id, x.location_id, -x.total, x.total, 0, 0, 0, 0, 0, x.created_at FROM ledger_chunks x
				WHERE x.product_id = a.product_id AND x.first_id < a.id ORDER BY x.first_id DESC LIMIT ?)
			ORDER BY movement_id DESC LIMIT ?) m`,
	MovedMicros: "(extract(epoch FROM m.created_at) * 1000000)::bigint",
	// nextval takes as many ids as a chunk may have.
	LedgerStep: ledger.ChunkMax,
	LedgerEnd:  fmt.Sprintf(`(SELECT CASE WHEN is_called THEN last_value + %d ELSE 0 END FROM movement_sequence)`, ledger.ChunkMax-1),
	ChunksAfter: fmt.Sprintf(`UNION ALL SELECT a.n, c.location_id, rest.quantity, -rest.quantity, 0, 0, 0, 0, 0
			FROM a JOIN ledger_chunks c ON c.product_id = a.product_id AND c.first_id > a.id - %d AND c.first_id <= a.id AND c.first_id + c.size - 1 > a.id
			CROSS JOIN LATERAL (SELECT sum(q) AS quantity FROM unnest(c.quantities[(a.id - c.first_id + 2)::integer:]) q) rest`, ledger.ChunkMax),
	Committed: "pg_current_snapshot()::text",
	// xmin is the transaction that wrote the row in this database. It is txid, or a later
	// one where a savepoint wrote the row. An earlier xmin shows that the row was restored
	// from a dump: its txid then means nothing here.
	TxID:       "CASE WHEN (m.xmin::text::bigint - m.txid) & 4294967295 < 2147483648 THEN m.txid ELSE 0 END",
	TxIDColumn: "m.txid",
}
