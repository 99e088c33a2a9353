package database

import (
	"context"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"onhand/models"
)

// catalogueBatch is how many rows one INSERT carries.
const catalogueBatch = 500

// Catalogue is what must exist before stock can lie anywhere.
type Catalogue struct {
	Products  []models.Product // only id and title count
	Locations []models.Location
	Channels  []models.Channel
}

// AddCatalogue adds what is not there yet, and renames products and locations
// that are, in one transaction. Stock settings of known products stay.
func (d *Database) AddCatalogue(ctx context.Context, c Catalogue) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	c.Products, c.Locations = slices.Clone(c.Products), slices.Clone(c.Locations) // gorm writes into what it creates
	err := d.Gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if len(c.Locations) > 0 {
			if err := tx.Clauses(renamed("location_id", "name")).CreateInBatches(c.Locations, catalogueBatch).Error; err != nil {
				return err
			}
		}
		for _, channel := range c.Channels {
			if err := addChannel(tx, channel); err != nil {
				return err
			}
		}
		if len(c.Products) == 0 {
			return nil
		}
		return tx.Clauses(renamed("product_id", "title")).Select("ProductID", "Title").
			CreateInBatches(c.Products, catalogueBatch).Error
	})
	return d.Fault(err)
}

// renamed is an upsert that only takes over the name, and only a new one.
func renamed(key, name string) clause.OnConflict {
	excluded := clause.Column{Table: "excluded", Name: name}
	return clause.OnConflict{
		Columns:   []clause.Column{{Name: key}},
		DoUpdates: clause.Set{{Column: clause.Column{Name: name}, Value: excluded}},
		Where: clause.Where{Exprs: []clause.Expression{
			clause.Expr{SQL: "? IS DISTINCT FROM ?", Vars: []any{clause.Column{Table: clause.CurrentTable, Name: name}, excluded}},
		}},
	}
}

func addChannel(tx *gorm.DB, channel models.Channel) error {
	if err := tx.Exec("INSERT INTO channels (channel_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", channel.ChannelID, channel.Name).Error; err != nil {
		return err
	}
	for _, location := range channel.LocationIDs {
		err := tx.Exec("INSERT INTO channel_locations (channel_id, location_id) VALUES (?, ?) ON CONFLICT DO NOTHING", channel.ChannelID, location).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// Empty tells whether no product was ever added.
func (d *Database) Empty(ctx context.Context) (bool, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var found []string
	err := db.Raw("SELECT product_id FROM products LIMIT 1").Scan(&found).Error
	return len(found) == 0, d.Fault(err)
}
