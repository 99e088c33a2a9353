package database

import (
	"context"

	"onhand/models"
)

// Directory reads all locations and channels.
func (d *Database) Directory(ctx context.Context) (*models.Directory, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	var locations []models.Location
	if err := db.Order("priority, location_id").Find(&locations).Error; err != nil {
		return nil, d.Fault(err)
	}
	var rows []struct {
		ChannelID, Name string
		Sourcing        models.SourcingOrder
		LocationID      *string
	}
	err := db.Raw(`SELECT c.channel_id, c.name, c.sourcing, l.location_id FROM channels c
		LEFT JOIN channel_locations m ON m.channel_id = c.channel_id
		LEFT JOIN locations l ON l.location_id = m.location_id
		ORDER BY c.channel_id, l.priority, l.location_id`).Scan(&rows).Error
	if err != nil {
		return nil, d.Fault(err)
	}
	var channels []models.Channel
	for _, r := range rows {
		if n := len(channels); n == 0 || channels[n-1].ChannelID != r.ChannelID {
			channels = append(channels, models.Channel{ChannelID: r.ChannelID, Name: r.Name, Sourcing: r.Sourcing})
		}
		if r.LocationID != nil {
			c := &channels[len(channels)-1]
			c.LocationIDs = append(c.LocationIDs, *r.LocationID)
		}
	}
	return models.NewDirectory(locations, channels), nil
}
