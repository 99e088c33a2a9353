package sqlite

import (
	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// Only a row that differs is written, so that nothing that stays as it is gets
// a new version.
const (
	upsertProductSQL = `INSERT INTO products (product_id, title, tracked, inventory_policy, backorder_limit, low_stock_threshold, max_per_reservation, next_restock_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (product_id) DO UPDATE SET title = excluded.title, tracked = excluded.tracked, inventory_policy = excluded.inventory_policy,
			backorder_limit = excluded.backorder_limit, low_stock_threshold = excluded.low_stock_threshold,
			max_per_reservation = excluded.max_per_reservation, next_restock_at = excluded.next_restock_at`

	upsertLocationSQL = `INSERT INTO locations (location_id, name, priority, active, pickup) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (location_id) DO UPDATE SET name = excluded.name, priority = excluded.priority, active = excluded.active, pickup = excluded.pickup`

	upsertChannelSQL = `INSERT INTO channels (channel_id, name, sourcing) VALUES (?, ?, ?)
		ON CONFLICT (channel_id) DO UPDATE SET name = excluded.name, sourcing = excluded.sourcing`

	removeMembersSQL = `DELETE FROM channel_locations WHERE channel_id = ? AND location_id NOT IN (SELECT value FROM json_each(?))`
	addMemberSQL     = `INSERT INTO channel_locations (channel_id, location_id) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// settings writes what a settings write decided. The triggers pass over rows
// that stay as they are.
func (w *writer) settings(s decide.SettingsChange) {
	for _, p := range decide.InOrder(s.Products) {
		var restock any
		if p.NextRestockAt != nil {
			restock = dialect.Micros(*p.NextRestockAt)
		}
		w.exec(upsertProductSQL, p.ProductID, dialect.OrNull(p.Title), p.Tracked, string(p.InventoryPolicy), dialect.OrNull(p.BackorderLimit),
			p.LowStockThreshold, dialect.OrNull(p.MaxPerReservation), restock)
	}
	for _, l := range decide.InOrder(s.Locations) {
		w.exec(upsertLocationSQL, l.LocationID, l.Name, l.Priority, l.Active, l.Pickup)
	}
	for _, c := range decide.InOrder(s.Channels) {
		w.exec(upsertChannelSQL, c.ChannelID, c.Name, string(c.Sourcing))
		if s.Relisted[c.ChannelID] {
			w.members(c)
		}
	}
}

func (w *writer) members(c models.Channel) {
	w.exec(removeMembersSQL, c.ChannelID, dialect.JSONList(c.LocationIDs))
	for _, id := range c.LocationIDs {
		w.exec(addMemberSQL, c.ChannelID, id)
	}
}
