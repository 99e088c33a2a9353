package faults

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// quantities are the columns of a level's states, and of a movement's with an ending.
func quantities(table, ending string) string {
	list := ""
	for _, state := range []string{"available", "reserved", "committed", "damaged", "quality_control", "safety_stock", "incoming"} {
		list += ", " + table + "." + state + ending
	}
	return "ARRAY[" + list[2:] + "]"
}

// The statements of CheckDatabase: each lists what is wrong.
var (
	// I2
	belowFloor = `SELECT format('%s at %s had %s after movement %s', m.product_id, m.location_id, m.available_after, m.movement_id)
		FROM stock_movements m JOIN products p USING (product_id) WHERE m.available_after < product_floor(p) ORDER BY movement_id`

	// I4
	reservedByHolds = `SELECT format('%s has %s reserved and %s committed, and its reservations %s and %s',
			l.product_id, l.reserved, l.committed, coalesce(r.reserved, 0), coalesce(r.committed, 0))
		FROM stock_levels l LEFT JOIN (
			SELECT line->>'productId' AS product_id, a->>'locationId' AS location_id,
				sum((a->>'quantity')::int) FILTER (WHERE state = 'ACTIVE') AS reserved,
				sum((a->>'quantity')::int - coalesce((a->>'done')::int, 0)) FILTER (WHERE state = 'COMMITTED') AS committed
			FROM reservations, jsonb_array_elements(lines::jsonb) line, jsonb_array_elements(line->'allocations') a GROUP BY 1, 2) r USING (product_id, location_id)
		WHERE l.reserved <> coalesce(r.reserved, 0) OR l.committed <> coalesce(r.committed, 0)`

	// I5: each movement goes on where the one before it ended, and the last ends at the level.
	brokenChain = `SELECT format('movement %s of %s does not follow from the one before it', movement_id, product_id) FROM (
			SELECT m.product_id, movement_id, ` + quantities("m", "_after") + ` AS after, ` + quantities("m", "_delta") + ` AS delta,
				lag(` + quantities("m", "_after") + `, 1, '{0,0,0,0,0,0,0}') OVER (PARTITION BY product_id, location_id ORDER BY movement_id) AS before
			FROM stock_movements m) chain
		WHERE after <> ARRAY(SELECT b + d FROM unnest(before, delta) AS both_of(b, d))`

	levelOffLedger = `SELECT format('%s at %s is not what its last movement says', l.product_id, l.location_id) FROM stock_levels l
		JOIN LATERAL (SELECT * FROM stock_movements m WHERE m.product_id = l.product_id AND m.location_id = l.location_id
			ORDER BY movement_id DESC LIMIT 1) m ON true
		WHERE ` + quantities("l", "") + ` <> ` + quantities("m", "_after")

	// I6: no two of released, expired and ordered, and all lines of a cart or none.
	resolvedTwice = `SELECT format('reservation %s was resolved %s times at %s (%s) and is %s', encode(m.reservation_id, 'hex'), count(*), m.product_id,
			string_agg(m.reason, ', ' ORDER BY movement_id), max(r.state))
		FROM stock_movements m JOIN reservations r USING (reservation_id) WHERE reason IN ('RELEASED', 'EXPIRED', 'COMMITTED')
		GROUP BY m.reservation_id, m.product_id, m.location_id HAVING count(*) > 1 OR max(m.reason) <> max(r.state)`

	heldInPart = `SELECT format('reservation %s has %s lines, and %s were held', encode(r.reservation_id, 'hex'), json_array_length(r.lines), count(m.*))
		FROM reservations r LEFT JOIN stock_movements m ON m.reservation_id = r.reservation_id
		WHERE m.reason = 'RESERVED' OR m.reason IS NULL GROUP BY r.reservation_id HAVING count(m.*) <> json_array_length(r.lines)`

	onHand = `SELECT format('%s has %s on hand, and the ledger says %s', product_id, l.on_hand, m.on_hand)
		FROM (SELECT product_id, sum(available + reserved + committed + damaged + quality_control + safety_stock) AS on_hand FROM stock_levels GROUP BY 1) l
		JOIN (SELECT product_id, ` + onHandDeltas + ` + max(opening) AS on_hand FROM stock_movements
			JOIN unnest($1::text[], $2::int[]) AS o(product_id, opening) USING (product_id) WHERE reason <> 'CYCLE_COUNT' GROUP BY 1) m USING (product_id)
		WHERE l.on_hand <> m.on_hand`
)

const onHandDeltas = `sum(available_delta + reserved_delta + committed_delta + damaged_delta + quality_control_delta + safety_stock_delta)`

// CheckDatabase is I2, I4, I5 and what of I6 the tables alone can tell.
func (s *Scene) CheckDatabase() {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	s.report("the database", s.databaseFaults(ctx, s.pool))
	s.report("I5: on hand = opening + ledger", s.EndTotals())
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, statement string, args ...any) (pgx.Rows, error)
}

// databaseFaults lists what the tables have wrong, each with its invariant.
func (s *Scene) databaseFaults(ctx context.Context, q querier) (found []string) {
	for _, check := range []struct{ invariant, statement string }{
		{"I2", belowFloor}, {"I4", reservedByHolds}, {"I5", brokenChain}, {"I5", levelOffLedger}, {"I6", resolvedTwice}, {"I6", heldInPart},
	} {
		wrong, err := lines(ctx, q, check.statement)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, line := range wrong {
			found = append(found, check.invariant+": "+line)
		}
	}
	return found
}

// EndTotals compares what is on hand with the opening stock and the ledger: the check that everybody writes first, and
// that a lost update passes.
func (s *Scene) EndTotals() []string {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	found, err := s.endTotals(ctx, s.pool)
	s.Must(err)
	return found
}

func (s *Scene) endTotals(ctx context.Context, q querier) ([]string, error) {
	openings := make([]int, len(s.products))
	for i, product := range s.products {
		openings[i] = s.plan.Opening[product]
	}
	return lines(ctx, q, onHand, s.products, openings)
}
