package ledger

import (
	"strings"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// movementQuery selects movements with ids above one and through another, ascending or
// descending.
type movementQuery struct {
	filter         models.MovementFilter
	above, through int64
	more           conditions // on columns of m that rows and chunks both have
	columns        string     // SQL for more columns of each movement m, at the end
	descending     bool
	limit          int
}

func (q *movementQuery) order(column string) string {
	if q.descending {
		return " ORDER BY " + column + " DESC LIMIT ?"
	}
	return " ORDER BY " + column + " LIMIT ?"
}

// movementRead are the columns of a movement m.
var movementRead = "m.movement_id, m.product_id, m.location_id, " + dialect.PerState("m.$_delta", ", ") + ", " + dialect.PerState("m.$_after", ", ") +
	", m.reason, m.note, m.reference, m.actor, m.reservation_id, m.version, m.created_at"

// conditions is a WHERE clause under construction.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) add(sql string, args ...any) {
	c.sql = append(c.sql, sql)
	c.args = append(c.args, args...)
}

func (c *conditions) join(more conditions) { c.add(strings.Join(more.sql, " AND "), more.args...) }

func (c *conditions) where() string { return " WHERE " + strings.Join(c.sql, " AND ") }

// rowConditions are the conditions of a query on ledger rows. An id that no reservation can
// have matches nothing.
func rowConditions(f *dialect.Fragments, q *movementQuery) conditions {
	c := entryConditions(f, q)
	filter := q.filter
	if filter.State != "" {
		c.add("m." + strings.ToLower(string(filter.State)) + "_delta <> 0")
	}
	if filter.Reason != "" {
		c.add("m.reason = ?", string(filter.Reason))
	}
	if filter.Reference != "" {
		c.add("m.reference = ?", filter.Reference)
	}
	if filter.HidesOrders {
		c.add("m.reservation_id IS NULL")
	}
	if filter.ReservationID != "" {
		key, _ := decide.ReservationKey(filter.ReservationID)
		c.add("m.reservation_id = ?", key[:])
	}
	c.add("m.movement_id > ?", q.above)
	c.add("m.movement_id <= ?", q.through)
	return c
}

// entryConditions are the conditions that rows and chunks have in common.
func entryConditions(f *dialect.Fragments, q *movementQuery) (c conditions) {
	filter := q.filter
	if filter.ProductID != "" {
		c.add("m.product_id = ?", filter.ProductID)
	}
	if filter.LocationID != "" {
		c.add("m.location_id = ?", filter.LocationID)
	}
	if filter.Since != nil {
		c.add("m.created_at >= ?", f.Moment(*filter.Since))
	}
	if filter.Until != nil {
		c.add("m.created_at <= ?", f.Moment(*filter.Until))
	}
	if len(q.more.sql) > 0 {
		c.join(q.more)
	}
	return c
}

// fromRows is the SELECT from a table of rows.
func fromRows(f *dialect.Fragments, table string, q *movementQuery) (string, []any) {
	c := rowConditions(f, q)
	return "SELECT " + movementRead + ", " + f.TxID + ", " + f.Committed + q.columns + " FROM " + table + " m" + c.where() +
		q.order("m.movement_id"), append(c.args, q.limit)
}

// mayBeChunked reports whether a filter accepts movements of chunks.
func mayBeChunked(f models.MovementFilter) bool {
	return (f.State == "" || f.State == models.Available || f.State == models.Reserved) &&
		(f.Reason == "" || f.Reason == models.ReasonReserved) && f.Reference == ""
}

// movementsSelect is the SELECT of what a query asks for, with its parameters. It
// takes from rows and from chunks no more than is asked for, each in order, and
// unpacks only as many chunks as that takes.
func movementsSelect(f *dialect.Fragments, q *movementQuery) (string, []any) {
	if f.LedgerStep == 1 || !mayBeChunked(q.filter) {
		return fromRows(f, f.LedgerRows, q)
	}
	rows := rowConditions(f, q)
	chunked, args := chunkedMovements(f, q)
	return "SELECT " + movementRead + ", m.written, " + f.Committed + q.columns + ` FROM (
			(SELECT ` + movementRead + ", " + f.TxID + " AS written FROM ledger_rows m" + rows.where() + q.order("m.movement_id") + `)
			UNION ALL ` + chunked + `) m` + q.order("m.movement_id"),
		append(append(append(rows.args, q.limit), args...), q.limit)
}

// chunkedMovements finds at most limit chunks, of which it sorts the keys alone. It drops
// those that come after enough movements, and unpacks the rest.
func chunkedMovements(f *dialect.Fragments, q *movementQuery) (string, []any) {
	c := entryConditions(f, q)
	c.add("m.first_id > ?", q.above-ChunkMax)
	c.add("m.first_id <= ?", q.through)
	c.add("m.first_id + m.size - 1 > ?", q.above)
	wanted := conditions{}
	wanted.add("u.movement_id > ?", q.above)
	wanted.add("u.movement_id <= ?", q.through)
	if q.filter.ReservationID == "" {
		wanted.add("k.ahead < ?", q.limit)
	} else {
		key, _ := decide.ReservationKey(q.filter.ReservationID)
		made := "(SELECT r.created_at FROM reservations r WHERE r.reservation_id = ?)"
		c.add("m.created_at >= "+made, key[:])
		c.add("m.created_at <= "+made+" + interval '"+ChunkDelayMax.String()+"'", key[:])
		c.add("pg_catalog.position(m.reservations, ?) > 0", key[:]) // finds the chunk; the movement's place in it is looked at below
		wanted.add("u.reservation_id = ?", key[:])
	}
	order := strings.TrimSuffix(q.order("m.first_id"), " LIMIT ?")
	args := append([]any{q.through, q.above}, c.args...)
	args = append(append(args, q.limit), wanted.args...)
	return `SELECT u.movement_id, m.product_id, m.location_id, -u.quantity, u.quantity, 0, 0, 0, 0, 0,
				m.available - u.reserved_so_far, m.reserved + u.reserved_so_far, m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming,
				'RESERVED', '', '', '', u.reservation_id, m.version, m.created_at, ` + f.TxID + `
			FROM (SELECT m.product_id, m.first_id, coalesce(sum(least(m.first_id + m.size - 1, ?::bigint) - greatest(m.first_id, ?::bigint + 1) + 1)
					OVER (` + order + ` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS ahead
				FROM ledger_chunks m` + c.where() + q.order("m.first_id") + `) k
			JOIN ledger_chunks m ON m.product_id = k.product_id AND m.first_id = k.first_id
			CROSS JOIN LATERAL ledger_chunk_movements(m.first_id, m.quantities, m.reservations) u` + wanted.where(), args
}
