package database

import (
	"context"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"onhand/models"
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
)

// Catalogue is what must exist before there can be stock.
type Catalogue struct {
	Products  []models.Product // only id and title are used
	Locations []models.Location
	Channels  []models.Channel
	// Demo marks the database as the demo shop.
	Demo bool
}

// AddCatalogue adds what does not exist yet, and renames products and locations that
// do, in one transaction. It leaves the settings of known products alone.
func (d *Database) AddCatalogue(ctx context.Context, c Catalogue) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	c.Products, c.Locations = slices.Clone(c.Products), slices.Clone(c.Locations) // gorm writes into what it creates
	err := d.Gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if c.Demo {
			if err := tx.Model(&metaRow{}).Where("NOT demo").Update("demo", true).Error; err != nil {
				return err
			}
		}
		if len(c.Locations) > 0 {
			if err := tx.Clauses(dialect.OnChange("location_id", "name")).CreateInBatches(c.Locations, dialect.InsertBatch).Error; err != nil {
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
		return tx.Clauses(dialect.OnChange("product_id", "title")).Select("ProductID", "Title").
			CreateInBatches(c.Products, dialect.InsertBatch).Error
	})
	return d.Fault(err)
}

// addChannel adds a channel and its locations where they do not exist.
func addChannel(tx *gorm.DB, channel models.Channel) error {
	row := channelRow{ChannelID: channel.ChannelID, Name: channel.Name}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return err
	}
	return dialect.AddMembers(tx, channel)
}

// Empty reports whether there is no product.
func (d *Database) Empty(ctx context.Context) (bool, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var found []string
	err := db.Model(&models.Product{}).Limit(1).Pluck("product_id", &found).Error
	return len(found) == 0, d.Fault(err)
}

// Directory reads all locations and channels, with the epoch of the channels' revisions.
func (d *Database) Directory(ctx context.Context) (*models.Directory, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var locations []models.Location
	if err := db.Order("priority, location_id").Find(&locations).Error; err != nil {
		return nil, d.Fault(err)
	}
	channels, epoch, err := readChannels(db)
	if err != nil {
		return nil, d.Fault(err)
	}
	directory := models.NewDirectory(locations, channels)
	directory.Epoch = epoch
	return directory, nil
}

// readChannels reads all channels with their locations, and the epoch, in one
// statement, whatever their number: a Preload would name each of them in a parameter.
func readChannels(db *gorm.DB) (channels []models.Channel, epoch string, err error) {
	var rows []memberRow
	err = db.Table("onhand_meta e").Select("e.epoch, c.channel_id, c.name, c.sourcing, c.buffer, c.revision, l.location_id").
		Joins("LEFT JOIN channels c ON c.channel_id IS NOT NULL").
		Joins("LEFT JOIN channel_locations m ON m.channel_id = c.channel_id").
		Joins("LEFT JOIN locations l ON l.location_id = m.location_id").
		Order("c.channel_id, l.priority, l.location_id").Scan(&rows).Error
	for _, r := range rows {
		epoch = r.Epoch
		if r.ChannelID == "" { // the one row without any channel
			continue
		}
		if n := len(channels); n == 0 || channels[n-1].ChannelID != r.ChannelID {
			channels = append(channels, models.Channel{ChannelID: r.ChannelID, Name: r.Name, Sourcing: r.Sourcing, Buffer: r.Buffer, Revision: r.Revision})
		}
		if r.LocationID != nil {
			c := &channels[len(channels)-1]
			c.LocationIDs = append(c.LocationIDs, *r.LocationID)
		}
	}
	return channels, epoch, err
}

// ProductIDs lists product ids after an id, in order, at most limit.
func (d *Database) ProductIDs(ctx context.Context, after string, limit int) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, ledger.AuditTimeout)
	defer cancel()
	err = d.Gorm.WithContext(ctx).Model(&models.Product{}).Where("product_id > ?", after).Order("product_id").Limit(limit).Pluck("product_id", &ids).Error
	return ids, d.Fault(err)
}
