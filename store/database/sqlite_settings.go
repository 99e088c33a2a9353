package database

import "onhand/models"

// Only a row that differs is written, so that nothing that stays as it is gets
// a new version.
const (
	sqliteUpsertProduct = `INSERT INTO products (product_id, title, tracked, inventory_policy, backorder_limit, low_stock_threshold, max_per_reservation, next_restock_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (product_id) DO UPDATE SET title = excluded.title, tracked = excluded.tracked, inventory_policy = excluded.inventory_policy,
			backorder_limit = excluded.backorder_limit, low_stock_threshold = excluded.low_stock_threshold,
			max_per_reservation = excluded.max_per_reservation, next_restock_at = excluded.next_restock_at`

	sqliteUpsertLocation = `INSERT INTO locations (location_id, name, priority, active, pickup) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (location_id) DO UPDATE SET name = excluded.name, priority = excluded.priority, active = excluded.active, pickup = excluded.pickup`

	sqliteUpsertChannel = `INSERT INTO channels (channel_id, name, sourcing) VALUES (?, ?, ?)
		ON CONFLICT (channel_id) DO UPDATE SET name = excluded.name, sourcing = excluded.sourcing`

	sqliteRemoveMembers = `DELETE FROM channel_locations WHERE channel_id = ? AND location_id NOT IN (SELECT value FROM json_each(?))`
	sqliteAddMember     = `INSERT INTO channel_locations (channel_id, location_id) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// settings writes what a settings write decided. The triggers pass over rows
// that stay as they are.
func (w *sqliteWriter) settings(s settings) {
	for _, p := range inOrder(s.products) {
		var restock any
		if p.NextRestockAt != nil {
			restock = micros(*p.NextRestockAt)
		}
		w.exec(sqliteUpsertProduct, p.ProductID, orNull(p.Title), p.Tracked, string(p.InventoryPolicy), orNull(p.BackorderLimit),
			p.LowStockThreshold, orNull(p.MaxPerReservation), restock)
	}
	for _, l := range inOrder(s.locations) {
		w.exec(sqliteUpsertLocation, l.LocationID, l.Name, l.Priority, l.Active, l.Pickup)
	}
	for _, c := range inOrder(s.channels) {
		w.exec(sqliteUpsertChannel, c.ChannelID, c.Name, string(c.Sourcing))
		if s.emptied[c.ChannelID] {
			w.members(c)
		}
	}
}

func (w *sqliteWriter) members(c models.Channel) {
	w.exec(sqliteRemoveMembers, c.ChannelID, jsonList(c.LocationIDs))
	for _, id := range c.LocationIDs {
		w.exec(sqliteAddMember, c.ChannelID, id)
	}
}
