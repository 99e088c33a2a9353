package database

import (
	"onhand/models"
)

// wants names what a batch of writes touches, and so what is locked and loaded.
type wants struct {
	reservations [][16]byte // locked
	products     []string   // their levels are locked, and those of the reservations' lines
	keyed        [][16]byte // looked at, once the levels are locked: what the keys made before
	keys         [][16]byte
	locations    []string
	channels     []string
	updated      [][16]byte // reservations whose channels are wanted too
	settings     bool       // products, locations and channels are locked too
}

// wantsOf collects what a batch touches.
func wantsOf(writes []models.Write, hashes []keyHashes) wants {
	w := collector{products: map[string]bool{}, locations: map[string]bool{}, channels: map[string]bool{}, reservations: map[[16]byte]bool{}, keyed: map[[16]byte]bool{}, keys: map[[16]byte]bool{}, updated: map[[16]byte]bool{}}
	settings := false
	for i, write := range writes {
		settings = settings || Alone(write)
		if write.Key() != "" {
			w.keys[hashes[i].answer] = true
			// The key of a hold is on record as the id made from it.
			w.keyed[hashes[i].reservation] = true
		}
		switch write := write.(type) {
		case models.Reserve:
			w.lines(write.Lines)
			if write.Channel != "" {
				w.channels[write.Channel] = true
			}
		case models.UpdateReservation:
			w.reservation(write.ID)
			if key, ok := reservationKey(write.ID); ok {
				w.updated[key] = true
			}
			w.lines(write.Lines)
		case models.ExtendReservation:
			w.reservation(write.ID)
		case models.Resolve:
			w.reservation(write.ID)
		case models.Adjust:
			w.rows(write, func(i int) { w.level(write.Rows[i].ProductID, write.Rows[i].LocationID) })
		case models.SetStock:
			w.rows(write, func(i int) { w.level(write.Rows[i].ProductID, write.Rows[i].LocationID) })
		case models.MoveStock:
			w.rows(write, func(i int) {
				row := write.Rows[i]
				w.level(row.ProductID, row.From.LocationID)
				w.level(row.ProductID, row.To.LocationID)
			})
		case models.UpsertProducts:
			w.rows(write, func(i int) { w.products[write.Rows[i].ProductID] = true })
		case models.UpsertLocations:
			w.rows(write, func(i int) { w.locations[write.Rows[i].LocationID] = true })
		case models.UpsertChannels:
			w.rows(write, func(i int) {
				w.channels[write.Rows[i].ChannelID] = true
				for _, id := range write.Rows[i].LocationIDs {
					w.locations[id] = true
				}
			})
		}
	}
	return wants{
		products: sortedKeys(w.products), locations: sortedKeys(w.locations), channels: sortedKeys(w.channels),
		reservations: binaryKeys(w.reservations), keyed: binaryKeys(w.keyed), keys: binaryKeys(w.keys), updated: binaryKeys(w.updated),
		settings: settings,
	}
}

// collector gathers wants without repeats.
type collector struct {
	products, locations, channels map[string]bool
	reservations, keyed           map[[16]byte]bool
	keys, updated                 map[[16]byte]bool
}

func (c *collector) lines(lines []models.Line) {
	for _, l := range lines {
		c.products[l.ProductID] = true
		if l.LocationID != "" {
			c.locations[l.LocationID] = true
		}
	}
}

// rows calls want for each row that will be decided: what can never be right
// may not even be text that a database takes.
func (c *collector) rows(w models.Bulk, want func(i int)) {
	bad := models.BadRows(w)
	for i := range w.Size() {
		if bad[i] == nil {
			want(i)
		}
	}
}

func (c *collector) level(product, location string) {
	c.products[product] = true
	c.locations[location] = true
}

func (c *collector) reservation(id string) {
	if key, ok := reservationKey(id); ok {
		c.reservations[key] = true
	}
}
