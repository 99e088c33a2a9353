package dialect

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"onhand/models"
	"onhand/store/database/decide"
)

// InsertBatch is how many rows one INSERT of gorm has.
const InsertBatch = 500

// channelLocationRow is a location of a channel.
type channelLocationRow struct {
	ChannelID  string `gorm:"primaryKey"`
	LocationID string `gorm:"primaryKey"`
}

// TableName names the table for gorm.
func (channelLocationRow) TableName() string { return "channel_locations" }

// OnChange is the clause of an INSERT that updates these columns of a row that exists,
// and only where one of them differs: a row that stays as it is gets no new version.
func OnChange(key string, columns ...string) clause.OnConflict {
	differs := make([]clause.Expression, len(columns))
	for i, name := range columns {
		differs[i] = clause.Expr{SQL: "? IS DISTINCT FROM ?", Vars: []any{
			clause.Column{Table: clause.CurrentTable, Name: name}, clause.Column{Table: "excluded", Name: name},
		}}
	}
	return clause.OnConflict{
		Columns:   []clause.Column{{Name: key}},
		DoUpdates: clause.AssignmentColumns(columns),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Or(differs...)}},
	}
}

// AddMembers adds the locations of a channel that are not in it yet.
func AddMembers(tx *gorm.DB, c models.Channel) error {
	rows := make([]channelLocationRow, len(c.LocationIDs))
	for i, id := range c.LocationIDs {
		rows[i] = channelLocationRow{c.ChannelID, id}
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, InsertBatch).Error
}

// SaveSettings writes what a settings write decided, in id order.
func SaveSettings(tx *gorm.DB, f *Fragments, s decide.SettingsChange) error {
	products := make([]map[string]any, 0, len(s.Products))
	for _, p := range decide.InOrder(s.Products) {
		products = append(products, productValues(f, p))
	}
	if len(products) > 0 {
		onChange := OnChange("product_id", "title", "tracked", "inventory_policy", "backorder_limit", "low_stock_threshold", "max_per_reservation",
			"max_per_owner", "owner_period", "next_restock_at", "channel_buffers")
		if err := tx.Model(&models.Product{}).Clauses(onChange).CreateInBatches(products, InsertBatch).Error; err != nil {
			return err
		}
	}
	if locations := decide.InOrder(s.Locations); len(locations) > 0 {
		if err := tx.Clauses(OnChange("location_id", "name", "priority", "active", "pickup")).CreateInBatches(locations, InsertBatch).Error; err != nil {
			return err
		}
	}
	for _, c := range decide.InOrder(s.Channels) {
		if err := saveChannel(tx, c, s.Relisted[c.ChannelID]); err != nil {
			return err
		}
	}
	return nil
}

// productValues are the columns of a product. The version is the trigger's.
func productValues(f *Fragments, p models.Product) map[string]any {
	var restock any
	if p.NextRestockAt != nil {
		restock = f.Moment(*p.NextRestockAt)
	}
	return map[string]any{
		"product_id": p.ProductID, "title": p.Title, "tracked": p.Tracked, "inventory_policy": string(p.InventoryPolicy),
		"backorder_limit": p.BackorderLimit, "low_stock_threshold": p.LowStockThreshold, "max_per_reservation": p.MaxPerReservation,
		"max_per_owner": p.MaxPerOwner, "owner_period": p.OwnerPeriod,
		"next_restock_at": restock, "channel_buffers": p.Buffers.Encode(),
	}
}

// saveChannel writes a channel and, where relisted, replaces its locations.
func saveChannel(tx *gorm.DB, c models.Channel, relisted bool) error {
	row := map[string]any{"channel_id": c.ChannelID, "name": c.Name, "sourcing": string(c.Sourcing), "buffer": c.Buffer}
	if err := tx.Table("channels").Clauses(OnChange("channel_id", "name", "sourcing", "buffer")).Create(row).Error; err != nil {
		return err
	}
	if !relisted {
		return nil
	}
	removed := tx.Where("channel_id = ?", c.ChannelID)
	if len(c.LocationIDs) > 0 {
		removed = removed.Where("location_id NOT IN ?", c.LocationIDs)
	}
	if err := removed.Delete(&channelLocationRow{}).Error; err != nil {
		return err
	}
	return AddMembers(tx, c)
}
