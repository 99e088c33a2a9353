package importer

import (
	"strings"
)

// The SQL of an import, for both engines. import_rows has the file; import_asked, the levels
// of several rows; import_plan, the decision on each row; import_work, what to write.

// importVariants finds the product of each row. A SKU is the product's id, unless several
// variants of the file share it, or only the variant's own id is known.
var importVariants = []string{
	`CREATE TEMP TABLE import_shared AS SELECT product_id FROM import_rows
		WHERE variant <> '' AND product_id <> variant AND problem = '' GROUP BY product_id HAVING min(variant) <> max(variant)`,
	`UPDATE import_rows SET product_id = variant, product_key = variant_key WHERE variant <> '' AND product_id <> variant AND problem = '' AND (
		product_id IN (SELECT product_id FROM import_shared)
		OR NOT EXISTS (SELECT 1 FROM products p WHERE p.product_id = import_rows.product_id)
			AND EXISTS (SELECT 1 FROM products p WHERE p.product_id = import_rows.variant))`,
}

// importPrepare finds the rows of one level, and creates the tables of similar ids and of
// counts.
var importPrepare = []string{
	importCounts,
	`CREATE TEMP TABLE import_similar AS SELECT '' AS kind, product_id AS id, product_id AS similar_to FROM import_rows WHERE 1 = 0`,
	`CREATE INDEX import_similar_id ON import_similar (id, kind)`,
	`CREATE TEMP TABLE import_asked AS SELECT product_id, location_id, min(line) AS first_line,
		CASE WHEN min(ask) <> max(ask) THEN 1 ELSE 0 END AS differs
		FROM import_rows WHERE problem = '' AND ask <> '' GROUP BY product_id, location_id HAVING count(*) > 1`,
	`ANALYZE import_rows`,
	`ANALYZE import_asked`,
}

// importPlanColumns are the columns of import_plan that the statements after it read,
// beside the outcome. The table has a row for each row of the file, so each column counts.
const importPlanColumns = `line, last_line, product_id, location_id, title, note, problem, first_line, sets, compared,
	similar_product, similar_location, counted_at, newest_count, known_product, known_location, fresh, available_floor,
	seen_available, seen_damaged, seen_quality_control, seen_safety_stock, seen_incoming, seen_on_hand,
	before_available, before_reserved, before_committed, before_damaged, before_quality_control, before_safety_stock, before_incoming,
	after_available, after_damaged, after_quality_control, after_safety_stock, after_incoming`

// importPlan decides every row: the level now, the level after it, and whether that is
// allowed. A level that already is what the row asks for is never stale, so a file may be
// imported again.
func importPlan(create bool) string {
	createBit := "0"
	if create {
		createBit = "1"
	}
	return `CREATE TEMP TABLE import_plan AS SELECT ` + importPlanColumns + `, CASE
		WHEN problem <> '' THEN 'unreadable'
		WHEN known_product = 0 AND ` + createBit + ` = 0 THEN 'unknown product'
		WHEN known_location = 0 AND location_id <> '' AND ` + createBit + ` = 0 THEN 'unknown location'
		WHEN known_product = 0 AND similar_product <> '' OR known_location = 0 AND similar_location <> '' THEN 'similar'
		WHEN differs = 1 THEN 'repeated'
		WHEN ask = '' THEN 'unchanged'
		WHEN first_line < line THEN 'same'
		WHEN refusal <> '' THEN refusal
		WHEN newest_count IS NOT NULL THEN 'superseded'
		WHEN fresh = 0 AND after_available = before_available AND after_damaged = before_damaged AND after_quality_control = before_quality_control
			AND after_safety_stock = before_safety_stock AND after_incoming = before_incoming THEN 'unchanged'
		WHEN (fresh = 0 OR opens = 0) AND (
			seen_available <> before_available OR seen_damaged <> before_damaged OR seen_quality_control <> before_quality_control
			OR seen_safety_stock <> before_safety_stock OR seen_incoming <> before_incoming
			OR seen_on_hand <> before_available + before_reserved + before_committed + before_damaged + before_quality_control + before_safety_stock
		) THEN 'stale'
		WHEN after_available < available_floor AND after_available < before_available THEN 'too low'
		WHEN counted_at IS NOT NULL AND (after_damaged < 0 OR after_quality_control < 0 OR after_safety_stock < 0 OR after_incoming < 0
			OR new_available < available_floor AND after_available < before_available) THEN 'too low'
		WHEN after_available > 1000000000 OR after_damaged > 1000000000 OR after_quality_control > 1000000000
			OR after_safety_stock > 1000000000 OR after_incoming > 1000000000 THEN 'too high'
		WHEN fresh = 1 THEN 'created'
		ELSE 'changed' END AS outcome
	FROM (SELECT c.*, coalesce(new_available + since_available,
			new_on_hand + since_on_hand - after_damaged - after_quality_control - after_safety_stock - CASE WHEN fresh = 1 THEN elsewhere ELSE before_reserved + before_committed END,
			CASE WHEN fresh = 1 THEN open_available ELSE before_available END) AS after_available
	FROM (SELECT b.*,
			coalesce(new_damaged + since_damaged, CASE WHEN fresh = 1 THEN open_damaged ELSE before_damaged END) AS after_damaged,
			coalesce(new_quality_control + since_quality_control, CASE WHEN fresh = 1 THEN open_quality_control ELSE before_quality_control END) AS after_quality_control,
			coalesce(new_safety_stock + since_safety_stock, CASE WHEN fresh = 1 THEN open_safety_stock ELSE before_safety_stock END) AS after_safety_stock,
			coalesce(new_incoming + since_incoming, CASE WHEN fresh = 1 THEN open_incoming ELSE before_incoming END) AS after_incoming
	FROM (SELECT r.*, a.first_line, a.differs, coalesce(sp.similar_to, '') AS similar_product, coalesce(sl.similar_to, '') AS similar_location,
			k.refusal, ` + newestCount + `,
			coalesce(k.since_available, 0) AS since_available, coalesce(k.since_damaged, 0) AS since_damaged, coalesce(k.since_quality_control, 0) AS since_quality_control,
			coalesce(k.since_safety_stock, 0) AS since_safety_stock, coalesce(k.since_incoming, 0) AS since_incoming, coalesce(k.since_on_hand, 0) AS since_on_hand,
			CASE WHEN p.product_id IS NULL THEN 0 ELSE 1 END AS known_product,
			CASE WHEN n.location_id IS NULL THEN 0 ELSE 1 END AS known_location,
			CASE WHEN l.product_id IS NULL THEN 1 ELSE 0 END AS fresh,
			CASE WHEN p.inventory_policy = 'CONTINUE' THEN -coalesce(p.backorder_limit, 1000000000) ELSE 0 END AS available_floor,
			coalesce(l.available, 0) AS before_available, coalesce(l.reserved, 0) AS before_reserved, coalesce(l.committed, 0) AS before_committed,
			coalesce(l.damaged, 0) AS before_damaged, coalesce(l.quality_control, 0) AS before_quality_control,
			coalesce(l.safety_stock, 0) AS before_safety_stock, coalesce(l.incoming, 0) AS before_incoming
		FROM import_rows r
		LEFT JOIN import_asked a ON a.product_id = r.product_id AND a.location_id = r.location_id AND r.ask <> ''
		LEFT JOIN import_similar sp ON sp.kind = 'product' AND sp.id = r.product_id
		LEFT JOIN import_similar sl ON sl.kind = 'location' AND sl.id = r.location_id
		LEFT JOIN import_counts k ON k.product_id = r.product_id AND k.location_id = r.location_id AND k.counted_at = r.counted_at
		LEFT JOIN products p ON p.product_id = r.product_id
		LEFT JOIN locations n ON n.location_id = r.location_id
		LEFT JOIN stock_levels l ON l.product_id = r.product_id AND l.location_id = r.location_id
	) b) c) d`
}

const (
	importWork = `CREATE TEMP TABLE import_work AS SELECT row_number() OVER (ORDER BY product_id, location_id) AS position,
		product_id, location_id, counted_at, fresh, available_floor,
		before_available, before_reserved, before_committed, before_damaged, before_quality_control, before_safety_stock, before_incoming,
		after_available, after_damaged, after_quality_control, after_safety_stock, after_incoming
		FROM import_plan WHERE outcome IN ('changed', 'created')`
	importWorkIndex = `CREATE UNIQUE INDEX import_work_position ON import_work (position)`

	importFine = `outcome IN ('unchanged', 'changed', 'created', 'same')`

	importNews = `SELECT
		(SELECT count(DISTINCT product_id) FROM import_plan WHERE known_product = 0 AND ` + importFine + `),
		(SELECT count(DISTINCT location_id) FROM import_plan WHERE known_location = 0 AND location_id <> '' AND ` + importFine + `),
		(SELECT count(*) FROM import_work)`

	importNewLocations = `INSERT INTO locations (location_id, name)
		SELECT DISTINCT location_id, location_id FROM import_plan WHERE known_location = 0 AND location_id <> '' AND ` + importFine

	importNewProducts = `INSERT INTO products (product_id, title) SELECT product_id, nullif(max(title), '') FROM import_plan
		WHERE known_product = 0 AND ` + importFine + ` GROUP BY product_id ORDER BY product_id`

	importUpdate = `UPDATE stock_levels SET available = w.after_available, damaged = w.after_damaged, quality_control = w.after_quality_control,
		safety_stock = w.after_safety_stock, incoming = w.after_incoming
		FROM import_work w WHERE w.position > $1 AND w.position <= $2 AND w.fresh = 0
		AND stock_levels.product_id = w.product_id AND stock_levels.location_id = w.location_id`

	// On Postgres a trigger sets the floor itself.
	importInsert = `INSERT INTO stock_levels (product_id, location_id, available, damaged, quality_control, safety_stock, incoming, available_floor)
		SELECT product_id, location_id, after_available, after_damaged, after_quality_control, after_safety_stock, after_incoming, available_floor
		FROM import_work WHERE position > $1 AND position <= $2 AND fresh = 1 ORDER BY position`

	// Follows INSERT INTO and the table. A level that begins with nothing has no movement. The
	// version is the one that the trigger has set. SQLite numbers $1 and the others by their
	// first occurrence.
	importMovements = ` (product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
		reason, reference, note, actor, version)
		SELECT w.product_id, w.location_id, after_available - before_available, 0, 0, after_damaged - before_damaged,
			after_quality_control - before_quality_control, after_safety_stock - before_safety_stock, after_incoming - before_incoming,
			after_available, before_reserved, before_committed, after_damaged, after_quality_control, after_safety_stock, after_incoming,
			CASE WHEN w.counted_at IS NULL THEN 'IMPORT' ELSE 'CYCLE_COUNT' END, $1, $2, $3, p.version
		FROM import_work w JOIN products p ON p.product_id = w.product_id
		WHERE w.position > $4 AND w.position <= $5 AND (after_available <> before_available OR after_damaged <> before_damaged
			OR after_quality_control <> before_quality_control OR after_safety_stock <> before_safety_stock OR after_incoming <> before_incoming)
		ORDER BY w.position`

	importReport = `SELECT line, last_line, sets = 1, compared = 1, similar_product, similar_location, product_id, location_id, outcome, note, problem, first_line, counted_at, newest_count,
		seen_available, seen_damaged, seen_quality_control, seen_safety_stock, seen_incoming, seen_on_hand,
		before_available, before_reserved, before_committed, before_damaged, before_quality_control, before_safety_stock, before_incoming,
		after_available, before_reserved, before_committed, after_damaged, after_quality_control, after_safety_stock, after_incoming
		FROM import_plan ORDER BY line`
)

// ImportRowsTable creates import_rows with an engine's types of texts, numbers and times.
func ImportRowsTable(text, number, moment string) string {
	columns := make([]string, len(ImportColumns))
	for i, name := range ImportColumns {
		kind := number
		switch name {
		case "product_id", "variant", "title", "location_id", "ask", "note", "problem":
			kind = text + " NOT NULL"
		case "product_key", "variant_key", "location_key":
			kind = text
		case "counted_at":
			kind = moment
		}
		columns[i] = name + " " + kind
	}
	return "CREATE TEMP TABLE import_rows (" + strings.Join(columns, ", ") + ")"
}
