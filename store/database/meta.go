package database

import (
	"context"
	"time"

	"onhand/models"
)

// Meta is what the database says of itself.
type Meta struct {
	// Epoch names the history that versions belong to.
	Epoch string
	// Sequence is the largest outbox id ever given. It only falls when the
	// database goes back in time.
	Sequence int64
	// DirectoryVersion grows when locations or channels change.
	DirectoryVersion int64
	// Now is the database's clock.
	Now time.Time

	secret string
}

// ReadMeta asks the database what it is, and remembers it.
func (d *Database) ReadMeta(ctx context.Context) (Meta, error) {
	db, cancel := d.reading(ctx)
	defer cancel()
	var (
		m   Meta
		now instant
	)
	row := db.Raw("SELECT epoch, directory_version, reservation_secret, " +
		d.engine.sequence() + ", " + d.engine.now() + " FROM onhand_meta").Row()
	if err := row.Scan(&m.Epoch, &m.DirectoryVersion, &m.secret, &m.Sequence, &now); err != nil {
		return Meta{}, d.fault(err)
	}
	m.Now = now.Time
	d.meta.Store(&m)
	return m, nil
}

// Epoch is the history this process believes in: empty until the database was
// first reached.
func (d *Database) Epoch() string {
	if m := d.meta.Load(); m != nil {
		return m.Epoch
	}
	return ""
}

// knownMeta is the remembered meta, read first where there is none.
func (d *Database) knownMeta(ctx context.Context) (*Meta, error) {
	if m := d.meta.Load(); m != nil {
		return m, nil
	}
	m, err := d.ReadMeta(ctx)
	return &m, err
}

// NewEpoch starts another history, so that nothing kept from the old one is
// believed any more. Only the first of several copies that notice the same
// thing has an effect: it counts only while the epoch is still the old one.
func (d *Database) NewEpoch(ctx context.Context, old string) error {
	db, cancel := d.reading(ctx)
	defer cancel()
	return d.fault(db.Exec("UPDATE onhand_meta SET epoch = ? WHERE epoch = ?", newEpoch(), old).Error)
}

// Directory reads all locations and channels.
func (d *Database) Directory(ctx context.Context) (*models.Directory, error) {
	db, cancel := d.reading(ctx)
	defer cancel()
	var locations []models.Location
	if err := db.Order("priority, location_id").Find(&locations).Error; err != nil {
		return nil, d.fault(err)
	}
	var rows []struct {
		ChannelID, Name string
		LocationID      *string
	}
	err := db.Raw(`SELECT c.channel_id, c.name, l.location_id FROM channels c
		LEFT JOIN channel_locations m ON m.channel_id = c.channel_id
		LEFT JOIN locations l ON l.location_id = m.location_id
		ORDER BY c.channel_id, l.priority, l.location_id`).Scan(&rows).Error
	if err != nil {
		return nil, d.fault(err)
	}
	var channels []models.Channel
	for _, r := range rows {
		if n := len(channels); n == 0 || channels[n-1].ChannelID != r.ChannelID {
			channels = append(channels, models.Channel{ChannelID: r.ChannelID, Name: r.Name})
		}
		if r.LocationID != nil {
			c := &channels[len(channels)-1]
			c.LocationIDs = append(c.LocationIDs, *r.LocationID)
		}
	}
	return models.NewDirectory(locations, channels), nil
}
