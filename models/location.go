package models

import (
	"slices"
	"strconv"
	"time"

	"onhand/models/ids"
)

// Location is a place that keeps stock: a warehouse, a shop, a supplier.
type Location struct {
	LocationID string `gorm:"primaryKey"`
	Name       string
	// Priority orders sourcing: the lowest number comes first, then the lowest id.
	Priority int
	// Active locations count towards what can be sold.
	Active bool
	// Pickup reports whether shoppers may collect here.
	Pickup bool
}

// TableName names the table for gorm.
func (Location) TableName() string { return "locations" }

// Channel is a named set of locations that a storefront sells from.
type Channel struct {
	ChannelID   string
	Name        string
	LocationIDs []string
	// Sourcing chooses the locations that a reservation takes units from.
	Sourcing SourcingOrder
	// Buffer is how many units of a product's total the channel keeps back. A product
	// can have another one for the channel ([Product.Buffers]).
	Buffer int
	// Revision grows with every change of the channel or of its list of locations.
	Revision int64
}

// ChannelMembers is a channel with its locations as a set.
type ChannelMembers struct {
	Channel
	Members map[string]bool
}

// Directory is one consistent read of all locations and channels. It is small and
// changes rarely, so each instance keeps one in memory.
type Directory struct {
	Locations []Location // by priority, then id
	Channels  []Channel  // by id
	// Epoch is the database's epoch that the revisions belong to; empty when unknown.
	Epoch string

	locations map[string]*Location
	channels  map[string]*ChannelMembers
	active    map[string]bool // channels with an active location; the empty id stands for all locations
}

// NewDirectory indexes locations and channels by id.
func NewDirectory(locations []Location, channels []Channel) *Directory {
	d := &Directory{
		Locations: locations, Channels: channels,
		locations: make(map[string]*Location, len(locations)),
		channels:  make(map[string]*ChannelMembers, len(channels)),
		active:    make(map[string]bool, len(channels)+1),
	}
	for i := range locations {
		l := &locations[i]
		d.locations[l.LocationID] = l
		d.active[""] = d.active[""] || l.Active
	}
	for _, c := range channels {
		members := make(map[string]bool, len(c.LocationIDs))
		for _, id := range c.LocationIDs {
			members[id] = true
			d.active[c.ChannelID] = d.active[c.ChannelID] || d.LocationNamed(id).Active
		}
		d.channels[c.ChannelID] = &ChannelMembers{Channel: c, Members: members}
	}
	return d
}

// Placed returns the stock as a channel sells it (empty: the shop). A product without a
// level is for sale on backorder only where a location is active. Stocks of others are
// returned as they are.
func (d *Directory) Placed(s *Stock, channel string) *Stock {
	if s == nil || !s.preorder() || d.active[channel] {
		return s
	}
	unplaced := *s
	unplaced.unplaced = true
	return &unplaced
}

// Location returns the location of that id. Callers share it.
func (d *Directory) Location(id string) (l *Location, ok bool) {
	l, ok = d.locations[id]
	return l, ok
}

// LocationNamed returns the location of a level. A directory can be older than the
// level: a location that it does not have yet gets its id as name. Callers share it.
func (d *Directory) LocationNamed(id string) *Location {
	if l := d.locations[id]; l != nil {
		return l
	}
	return &Location{LocationID: id, Name: id}
}

// FindLocation finds a location by the shop's own id or by its global id. It returns
// nil for an unknown location. Callers share it.
func (d *Directory) FindLocation(id string) *Location {
	if l := d.locations[id]; l != nil {
		return l
	}
	if n, global := ids.Parse(id); global && n.Kind == ids.Location {
		return d.locations[n.LocationID]
	}
	return nil
}

// LocationsOf returns the locations with these ids, in their order. Callers share them.
func (d *Directory) LocationsOf(ids []string) []*Location {
	found := make([]*Location, 0, len(ids))
	for _, id := range ids {
		if l := d.locations[id]; l != nil {
			found = append(found, l)
		}
	}
	return found
}

// Channel returns the channel of that id. Callers share it.
func (d *Directory) Channel(id string) (c *ChannelMembers, ok bool) {
	c, ok = d.channels[id]
	return c, ok
}

// ChannelsOf returns the channels with these ids, by id.
func (d *Directory) ChannelsOf(ids []string) []*Channel {
	found := make([]*Channel, 0, len(ids))
	for i := range d.Channels {
		if slices.Contains(ids, d.Channels[i].ChannelID) {
			found = append(found, &d.Channels[i])
		}
	}
	return found
}

// UpsertLocations creates locations, and changes those that exist.
type UpsertLocations struct {
	IdempotencyKey string        `json:"idempotencyKey"`
	Rows           []LocationRow `json:"rows"`
	ErrorPolicy    ErrorPolicy   `json:"errorPolicy"`
	KeyTerms
}

// LocationRow is the new state of one location. A nil field keeps its value.
type LocationRow struct {
	LocationID string  `json:"locationId"`
	Name       *string `json:"name,omitempty"` // of a new location: its id, unless given
	Priority   *int    `json:"priority,omitempty"`
	Active     *bool   `json:"active,omitempty"`
	Pickup     *bool   `json:"pickup,omitempty"`
}

// UpsertChannels creates channels, and changes those that exist.
type UpsertChannels struct {
	IdempotencyKey string       `json:"idempotencyKey"`
	Rows           []ChannelRow `json:"rows"`
	ErrorPolicy    ErrorPolicy  `json:"errorPolicy"`
	KeyTerms
}

// ChannelRow is the new state of one channel. A nil field keeps its value.
type ChannelRow struct {
	ChannelID string         `json:"channelId"`
	Name      *string        `json:"name,omitempty"` // of a new channel: its id, unless given
	Sourcing  *SourcingOrder `json:"sourcing,omitempty"`
	Buffer    *int           `json:"buffer,omitempty"`
	// ProductBuffers change the buffers of single products for the channel.
	ProductBuffers []ProductBuffer `json:"productBuffers,omitempty"`
	// LocationIDs replaces all locations of the channel. An empty list leaves none.
	LocationIDs []string `json:"locationIds,omitzero"`
}

// ProductBuffer is the buffer of one product for a channel. Nil removes it, so that the
// channel's buffer applies.
type ProductBuffer struct {
	ProductID string `json:"productId"`
	Buffer    *int   `json:"buffer,omitempty"`
}

// priorityDefault is the column's own default too.
const priorityDefault = 100

// ApplyTo returns the location after the row; l is nil for a new one.
func (r LocationRow) ApplyTo(l *Location) Location {
	next := Location{LocationID: r.LocationID, Name: r.LocationID, Priority: priorityDefault, Active: true}
	if l != nil {
		next = *l
	}
	replace(&next.Name, r.Name)
	replace(&next.Priority, r.Priority)
	replace(&next.Active, r.Active)
	replace(&next.Pickup, r.Pickup)
	return next
}

// ApplyTo returns the channel after the row; c is nil for a new one.
func (r ChannelRow) ApplyTo(c *Channel) Channel {
	next := Channel{ChannelID: r.ChannelID, Name: r.ChannelID, Sourcing: ByPriority}
	if c != nil {
		next = *c
	}
	replace(&next.Name, r.Name)
	replace(&next.Sourcing, r.Sourcing)
	replace(&next.Buffer, r.Buffer)
	if r.LocationIDs != nil {
		next.LocationIDs = r.LocationIDs
	}
	return next
}

// Key implements Write.
func (w UpsertLocations) Key() string { return w.IdempotencyKey }
func (w UpsertChannels) Key() string  { return w.IdempotencyKey }

// Kind implements Write.
func (w UpsertLocations) Kind() string { return "locations" }
func (w UpsertChannels) Kind() string  { return "channels" }

// Size implements Bulk.
func (w UpsertLocations) Size() int { return len(w.Rows) }
func (w UpsertChannels) Size() int  { return len(w.Rows) }

// Policy implements Bulk.
func (w UpsertLocations) Policy() ErrorPolicy { return w.ErrorPolicy }
func (w UpsertChannels) Policy() ErrorPolicy  { return w.ErrorPolicy }

// Check implements Write.
func (w UpsertLocations) Check(time.Duration) []UserError { return checkUpsert(w, DirectoryRowsMax) }

// Check implements Write.
func (w UpsertChannels) Check(time.Duration) []UserError {
	errs, buffers := checkUpsert(w, DirectoryRowsMax), 0
	for _, row := range w.Rows {
		buffers += len(row.ProductBuffers)
	}
	if buffers > ProductRowsMax {
		errs = append(errs, Invalid(InputPath("rows"), "rows must have at most %d product buffers together, not %d", ProductRowsMax, buffers))
	}
	return errs
}

// CheckRows implements Bulk.
func (w UpsertLocations) CheckRows() RowErrors {
	seen := rowsByID{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.LocationID, "locationId", i)
		c.optionalText(row.Name, "rows", i, "name")
		c.optionalBetween(row.Priority, -QuantityMax, QuantityMax, "rows", i, "priority")
	})
}

// CheckRows implements Bulk.
func (w UpsertChannels) CheckRows() RowErrors {
	seen := rowsByID{}
	return checkEach(len(w.Rows), func(c *checker, i int) {
		row := w.Rows[i]
		seen.check(c, row.ChannelID, "channelId", i)
		c.optionalText(row.Name, "rows", i, "name")
		if s := row.Sourcing; s != nil && *s != ByPriority && *s != FewestLocations {
			c.add("must be PRIORITY or FEWEST_LOCATIONS", "rows", i, "sourcing")
		}
		c.optionalBetween(row.Buffer, 0, QuantityMax, "rows", i, "buffer")
		row.checkBuffers(c, i)
		if len(row.LocationIDs) > ChannelLocationsMax {
			c.add("must have at most "+strconv.Itoa(ChannelLocationsMax)+" entries", "rows", i, "locationIds")
			return
		}
		for j, id := range row.LocationIDs {
			c.id(id, "rows", i, "locationIds", j)
		}
	})
}

// checkBuffers checks the product buffers of row i.
func (r ChannelRow) checkBuffers(c *checker, i int) {
	seen := make(map[string]int, len(r.ProductBuffers))
	for j, b := range r.ProductBuffers {
		c.productID(b.ProductID, "rows", i, "productBuffers", j, "productId")
		c.optionalBetween(b.Buffer, 0, QuantityMax, "rows", i, "productBuffers", j, "buffer")
		if earlier, again := seen[b.ProductID]; again {
			c.errs = append(c.errs, Invalid(InputPath("rows", i, "productBuffers", j), "product buffer %d has the same productId", earlier))
		}
		seen[b.ProductID] = j
	}
}
