package checker

// Every statement over Onhand's tables is in this file: a change of the schema changes nothing else in this module.

// quantities are the columns of a level's states, or with an ending those of a movement.
func quantities(table, ending string) string {
	list := ""
	for _, state := range []string{"available", "reserved", "committed", "damaged", "quality_control", "safety_stock", "incoming"} {
		list += ", " + table + "." + state + ending
	}
	return "ARRAY[" + list[2:] + "]"
}

const onHandDeltas = `sum(available_delta + reserved_delta + committed_delta + damaged_delta + quality_control_delta + safety_stock_delta)`

// The statements of CheckDatabase: each lists what is wrong.
var (
	// I2
	belowFloor = `SELECT format('%s at %s had %s after movement %s', m.product_id, m.location_id, m.available_after, m.movement_id)
		FROM stock_movements m JOIN products p USING (product_id) WHERE m.available_after < product_floor(p) ORDER BY movement_id`

	// I4
	reservedByReservations = `SELECT format('%s has %s reserved and %s committed, and its reservations %s and %s',
			l.product_id, l.reserved, l.committed, coalesce(r.reserved, 0), coalesce(r.committed, 0))
		FROM stock_levels l LEFT JOIN (
			SELECT line->>'productId' AS product_id, a->>'locationId' AS location_id,
				sum((a->>'quantity')::int) FILTER (WHERE state = 'ACTIVE') AS reserved,
				sum((a->>'quantity')::int - coalesce((a->>'done')::int, 0)) FILTER (WHERE state = 'COMMITTED') AS committed
			FROM reservations, jsonb_array_elements(lines::jsonb) line, jsonb_array_elements(line->'allocations') a GROUP BY 1, 2) r USING (product_id, location_id)
		WHERE l.reserved <> coalesce(r.reserved, 0) OR l.committed <> coalesce(r.committed, 0)`

	// I5: each movement continues where the one before it ended, and the last one ends at the level.
	brokenChain = `SELECT format('movement %s of %s does not follow from the one before it', movement_id, product_id) FROM (
			SELECT m.product_id, movement_id, ` + quantities("m", "_after") + ` AS after, ` + quantities("m", "_delta") + ` AS delta,
				lag(` + quantities("m", "_after") + `, 1, '{0,0,0,0,0,0,0}') OVER (PARTITION BY product_id, location_id ORDER BY movement_id) AS before
			FROM stock_movements m) chain
		WHERE after <> ARRAY(SELECT b + d FROM unnest(before, delta) AS both_of(b, d))`

	levelOffLedger = `SELECT format('%s at %s is not what its last movement says', l.product_id, l.location_id) FROM stock_levels l
		JOIN LATERAL (SELECT * FROM stock_movements m WHERE m.product_id = l.product_id AND m.location_id = l.location_id
			ORDER BY movement_id DESC LIMIT 1) m ON true
		WHERE ` + quantities("l", "") + ` <> ` + quantities("m", "_after")

	onHand = `SELECT format('%s has %s on hand, and the ledger says %s', product_id, l.on_hand, m.on_hand)
		FROM (SELECT product_id, sum(available + reserved + committed + damaged + quality_control + safety_stock) AS on_hand FROM stock_levels GROUP BY 1) l
		JOIN (SELECT product_id, ` + onHandDeltas + ` + max(opening) AS on_hand FROM stock_movements
			JOIN unnest($1::text[], $2::int[]) AS o(product_id, opening) USING (product_id) WHERE reason <> 'CYCLE_COUNT' GROUP BY 1) m USING (product_id)
		WHERE l.on_hand <> m.on_hand`

	// I6: only one of released, expired and committed, and all lines of a cart or none. A commit that took available units
	// did so again, after the reservation had expired.
	resolvedTwice = `WITH reacquired AS (SELECT reservation_id FROM stock_movements WHERE reason = 'COMMITTED' AND reserved_delta = 0 AND available_delta < 0)
		SELECT format('reservation %s was resolved %s times at %s (%s) and is %s', encode(m.reservation_id, 'hex'), count(*), m.product_id,
			string_agg(m.reason, ', ' ORDER BY movement_id), max(r.state))
		FROM stock_movements m JOIN reservations r USING (reservation_id) WHERE reason IN ('RELEASED', 'EXPIRED', 'COMMITTED')
			AND NOT (reason = 'EXPIRED' AND m.reservation_id IN (SELECT reservation_id FROM reacquired))
		GROUP BY m.reservation_id, m.product_id, m.location_id HAVING count(*) > 1 OR max(m.reason) <> max(r.state)`

	reservedInPart = `SELECT format('reservation %s has %s lines, and %s were reserved', encode(r.reservation_id, 'hex'), json_array_length(r.lines), count(m.*))
		FROM reservations r LEFT JOIN stock_movements m ON m.reservation_id = r.reservation_id
		WHERE m.reason = 'RESERVED' OR m.reason IS NULL GROUP BY r.reservation_id HAVING count(m.*) <> json_array_length(r.lines)`
)

// I11: what each owner has of a product, after each of its movements. Orders are not fulfilled, and no reservation of the
// product expires.
const aboveOwnerLimit = `SELECT format('owner %s had %s of %s after movement %s, and may have %s', holder, units, product_id, movement_id, max_per_owner) FROM (
		SELECT m.movement_id, m.product_id, r.holder, p.max_per_owner,
			sum(m.reserved_delta + m.committed_delta) OVER (PARTITION BY m.product_id, r.holder ORDER BY m.movement_id) AS units
		FROM stock_movements m JOIN reservations r USING (reservation_id) JOIN products p ON p.product_id = m.product_id
		WHERE p.max_per_owner IS NOT NULL AND r.holder <> '') had
	WHERE units > max_per_owner ORDER BY movement_id`

// What the checks read.
const (
	// Products with their level at a location.
	selectProducts = `SELECT p.product_id, p.version, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming,
		(SELECT epoch FROM onhand_meta) FROM products p JOIN stock_levels l USING (product_id) WHERE l.location_id = $1 AND p.product_id = ANY ($2)`
	// Versions alone.
	selectVersions = `SELECT product_id, version FROM products WHERE product_id = ANY ($1)`
	// Reservations with when the ledger says that they were released, expired or committed.
	selectReservations = `SELECT r.reservation_id, owner_ref, state, r.created_at, expires_at, coalesce(m.at, 'epoch')
		FROM reservations r LEFT JOIN (SELECT reservation_id, min(created_at) AS at FROM stock_movements
			WHERE reason IN ('RELEASED', 'EXPIRED', 'COMMITTED') AND reservation_id IS NOT NULL GROUP BY 1) m USING (reservation_id)`
	selectExpiries = `SELECT m.txid, m.product_id, r.owner_ref, m.created_at FROM stock_movements m JOIN reservations r USING (reservation_id)
		WHERE m.reason = 'EXPIRED' ORDER BY m.txid, m.movement_id`
	selectOwners      = `SELECT owner_ref FROM reservations`
	countExpiringSoon = `SELECT count(*) FROM reservations WHERE state = 'ACTIVE' AND expires_at < clock_timestamp() + '1 minute'`
	countExpired      = `SELECT count(*) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= clock_timestamp()`
	// By the database's clock a reservation was made within the last minute, for an hour at most.
	offDatabaseClock = `SELECT format('%s is reserved from %s to %s', owner_ref, created_at, expires_at) FROM reservations
		WHERE abs(extract(epoch FROM clock_timestamp() - created_at)) > 60 OR expires_at - created_at > interval '1 hour 1 minute'`
)

// What scenarios do as other programs do that know the tables.
const (
	// LockLevel locks the level of product $1.
	LockLevel = `SELECT 1 FROM stock_levels WHERE product_id = $1 FOR UPDATE`
	// ToggleDamaged notes one damaged unit of product $1, or that there is none.
	ToggleDamaged = `UPDATE stock_levels SET damaged = 1 - damaged WHERE product_id = $1`
)

// Corruption is a statement that breaks healthy tables, and what the checks say of it.
type Corruption struct{ Statement, Finds string }

const (
	fifthMovement   = `(SELECT movement_id FROM ledger_rows ORDER BY movement_id OFFSET 4 LIMIT 1)`
	movementColumns = `product_id, location_id, available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta,
		incoming_delta, available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after, reason, reservation_id, version`
)

// Corruptions are those that the tests of the checkers try. They know the product "cup".
var Corruptions = map[string]Corruption{
	"I2 below the floor":           {`UPDATE ledger_rows SET available_after = -1 WHERE movement_id = ` + fifthMovement, "I2: "},
	"I4 a lost update":             {`UPDATE stock_levels SET available = available + 1, reserved = reserved - 1 WHERE product_id = 'cup' AND reserved > 0`, "I4: "},
	"I4 a forgotten order":         {`DELETE FROM reservations WHERE state = 'COMMITTED'`, "I4: "},
	"I5 a lost movement":           {`DELETE FROM ledger_rows WHERE movement_id = ` + fifthMovement, "I5: "},
	"I5 a wrong delta":             {`UPDATE ledger_rows SET damaged_delta = 1 WHERE movement_id = ` + fifthMovement, "I5: "},
	"I5 the last movement":         {`DELETE FROM ledger_rows WHERE movement_id = (SELECT max(movement_id) FROM ledger_rows)`, "I5: "},
	"I5 on hand":                   {`UPDATE stock_levels SET available = available + 1 WHERE product_id = 'cup'`, "on hand"},
	"I11 an owner above the limit": {`UPDATE products SET max_per_owner = 1 WHERE product_id = 'cup'`, "I11: "},
	"I6 released twice": {`INSERT INTO ledger_rows (` + movementColumns + `) SELECT ` + movementColumns + ` FROM stock_movements
		WHERE reason = 'RELEASED' ORDER BY movement_id LIMIT 1`, "I6: "},
	"I6 released and committed": {`UPDATE reservations SET state = 'COMMITTED' WHERE state = 'RELEASED'`, "I6: "},
	"I6 a cart in part":         {`UPDATE reservations SET lines = lines::jsonb || (lines->0)::jsonb WHERE state = 'RELEASED'`, "I6: "},
}
