package postgres

import (
	"github.com/jackc/pgx/v5"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

const (
	// One settings write at a time: of two that make the same thing, one would
	// not see the other's. What is there is locked row by row. The number is the
	// lock's name, nothing else.
	settingsLockSQL = `SELECT pg_advisory_xact_lock(7305804402467468404)`

	// Only a row that differs is written, so that nothing that stays as it is
	// gets a new version.
	upsertProductsSQL = `INSERT INTO products AS p (product_id, title, tracked, inventory_policy, backorder_limit, low_stock_threshold, max_per_reservation, next_restock_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[], $5::int[], $6::int[], $7::int[], $8::timestamptz[])
		ON CONFLICT (product_id) DO UPDATE SET title = excluded.title, tracked = excluded.tracked, inventory_policy = excluded.inventory_policy,
			backorder_limit = excluded.backorder_limit, low_stock_threshold = excluded.low_stock_threshold,
			max_per_reservation = excluded.max_per_reservation, next_restock_at = excluded.next_restock_at
		WHERE (p.title, p.tracked, p.inventory_policy, p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.next_restock_at)
			IS DISTINCT FROM (excluded.title, excluded.tracked, excluded.inventory_policy, excluded.backorder_limit,
			excluded.low_stock_threshold, excluded.max_per_reservation, excluded.next_restock_at)`

	upsertLocationsSQL = `INSERT INTO locations AS l (location_id, name, priority, active, pickup)
		SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::boolean[], $5::boolean[])
		ON CONFLICT (location_id) DO UPDATE SET name = excluded.name, priority = excluded.priority, active = excluded.active, pickup = excluded.pickup
		WHERE (l.name, l.priority, l.active, l.pickup) IS DISTINCT FROM (excluded.name, excluded.priority, excluded.active, excluded.pickup)`

	upsertChannelsSQL = `INSERT INTO channels AS c (channel_id, name, sourcing)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
		ON CONFLICT (channel_id) DO UPDATE SET name = excluded.name, sourcing = excluded.sourcing
		WHERE (c.name, c.sourcing) IS DISTINCT FROM (excluded.name, excluded.sourcing)`

	removeMembersSQL = `DELETE FROM channel_locations m WHERE channel_id = ANY ($1) AND NOT EXISTS (
		SELECT 1 FROM unnest($2::text[], $3::text[]) AS v(channel_id, location_id)
		WHERE v.channel_id = m.channel_id AND v.location_id = m.location_id)`

	addMembersSQL = `INSERT INTO channel_locations (channel_id, location_id)
		SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING`
)

// queueSettings writes what a settings write decided, in id order.
func queueSettings(b *pgx.Batch, s decide.SettingsChange) {
	if len(s.Products) > 0 {
		c := make(columns, 8)
		for _, p := range decide.InOrder(s.Products) {
			c.add(p.ProductID, dialect.OrNull(p.Title), p.Tracked, string(p.InventoryPolicy), dialect.OrNull(p.BackorderLimit),
				p.LowStockThreshold, dialect.OrNull(p.MaxPerReservation), dialect.OrNull(p.NextRestockAt))
		}
		b.Queue(upsertProductsSQL, c.args()...)
	}
	if len(s.Locations) > 0 {
		c := make(columns, 5)
		for _, l := range decide.InOrder(s.Locations) {
			c.add(l.LocationID, l.Name, l.Priority, l.Active, l.Pickup)
		}
		b.Queue(upsertLocationsSQL, c.args()...)
	}
	if len(s.Channels) > 0 {
		queueChannels(b, s)
	}
}

func queueChannels(b *pgx.Batch, s decide.SettingsChange) {
	rows, members := make(columns, 3), make(columns, 2)
	members[0], members[1] = []any{}, []any{} // none at all is a list too
	emptied := []string{}
	for _, c := range decide.InOrder(s.Channels) {
		rows.add(c.ChannelID, c.Name, string(c.Sourcing))
		if !s.Relisted[c.ChannelID] {
			continue
		}
		emptied = append(emptied, c.ChannelID)
		for _, id := range c.LocationIDs {
			members.add(c.ChannelID, id)
		}
	}
	b.Queue(upsertChannelsSQL, rows.args()...)
	if len(emptied) > 0 {
		b.Queue(removeMembersSQL, append([]any{emptied}, members.args()...)...)
		b.Queue(addMembersSQL, members.args()...)
	}
}

// columns turns rows of values into one array a column.
type columns [][]any

func (c columns) add(values ...any) {
	for i, v := range values {
		c[i] = append(c[i], v)
	}
}

func (c columns) args() []any {
	args := make([]any, len(c))
	for i := range c {
		args[i] = c[i]
	}
	return args
}
