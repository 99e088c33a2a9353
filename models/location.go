package models

// Location is a place that holds stock: a warehouse, a shop, a supplier.
type Location struct {
	LocationID string `gorm:"primaryKey"`
	Name       string
	// Priority orders sourcing: a lower number is asked first; ties go by id.
	Priority int
	// Active locations count towards what can be sold.
	Active bool
	// Pickup tells whether shoppers may collect here.
	Pickup bool
}

// TableName names the table for gorm.
func (Location) TableName() string { return "locations" }

// Channel is a named set of locations that a storefront sells from.
type Channel struct {
	ChannelID   string
	Name        string
	LocationIDs []string
	// Sourcing says which of its locations a hold is taken from.
	Sourcing SourcingOrder
}

// ID is the shop's own channel id.
func (c Channel) ID() string { return c.ChannelID }

// Directory is one consistent reading of all locations and channels. It is
// small and changes seldom, so each process keeps one in memory.
type Directory struct {
	Locations []Location // by priority, then id
	Channels  []Channel  // by id

	locations map[string]Location
	channels  map[string]map[string]bool
}

// NewDirectory indexes locations and channels for lookup.
func NewDirectory(locations []Location, channels []Channel) *Directory {
	d := &Directory{
		Locations: locations, Channels: channels,
		locations: make(map[string]Location, len(locations)),
		channels:  make(map[string]map[string]bool, len(channels)),
	}
	for _, l := range locations {
		d.locations[l.LocationID] = l
	}
	for _, c := range channels {
		members := make(map[string]bool, len(c.LocationIDs))
		for _, id := range c.LocationIDs {
			members[id] = true
		}
		d.channels[c.ChannelID] = members
	}
	return d
}

// Location returns the location of that id.
func (d *Directory) Location(id string) (Location, bool) {
	l, ok := d.locations[id]
	return l, ok
}

// Channel returns the location ids of a channel as a set.
func (d *Directory) Channel(id string) (members map[string]bool, ok bool) {
	members, ok = d.channels[id]
	return members, ok
}
