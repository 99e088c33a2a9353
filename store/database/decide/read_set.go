package decide

import (
	"onhand/models"
)

// wants names what a batch of writes touches, and so what is locked and loaded.
type ReadSet struct {
	Reservations        [][16]byte // locked
	Products            []string   // their levels are locked, and those of the reservations' lines
	KeyedReservations   [][16]byte // looked at, once the levels are locked: what the keys made before
	AnswerKeys          [][16]byte
	Locations           []string
	Channels            []string
	UpdatedReservations [][16]byte // reservations whose channels are wanted too
	ChangesSettings     bool       // products, locations and channels are locked too
}

// wantsOf collects what a batch touches.
func ReadSetOf(writes []models.Write, hashes []KeyHashes) ReadSet {
	w := readSetBuilder{products: map[string]bool{}, locations: map[string]bool{}, channels: map[string]bool{}, reservations: map[[16]byte]bool{}, keyedReservations: map[[16]byte]bool{}, answerKeys: map[[16]byte]bool{}, updatedReservations: map[[16]byte]bool{}}
	settings := false
	for i, write := range writes {
		settings = settings || ChangesSettings(write)
		if write.Key() != "" {
			w.answerKeys[hashes[i].Answer] = true
			// The key of a hold is on record as the id made from it.
			w.keyedReservations[hashes[i].Reservation] = true
		}
		switch write := write.(type) {
		case models.Reserve:
			w.lines(write.Lines)
			if write.Channel != "" {
				w.channels[write.Channel] = true
			}
		case models.UpdateReservation:
			w.reservation(write.ID)
			if key, ok := ReservationKey(write.ID); ok {
				w.updatedReservations[key] = true
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
	return ReadSet{
		Products: SortedKeys(w.products), Locations: SortedKeys(w.locations), Channels: SortedKeys(w.channels),
		Reservations: BinaryKeys(w.reservations), KeyedReservations: BinaryKeys(w.keyedReservations), AnswerKeys: BinaryKeys(w.answerKeys), UpdatedReservations: BinaryKeys(w.updatedReservations),
		ChangesSettings: settings,
	}
}

// collector gathers wants without repeats.
type readSetBuilder struct {
	products, locations, channels   map[string]bool
	reservations, keyedReservations map[[16]byte]bool
	answerKeys, updatedReservations map[[16]byte]bool
}

func (c *readSetBuilder) lines(lines []models.Line) {
	for _, l := range lines {
		c.products[l.ProductID] = true
		if l.LocationID != "" {
			c.locations[l.LocationID] = true
		}
	}
}

// rows calls want for each row that will be decided: what can never be right
// may not even be text that a database takes.
func (c *readSetBuilder) rows(w models.Bulk, want func(i int)) {
	bad := models.BadRows(w)
	for i := range w.Size() {
		if bad[i] == nil {
			want(i)
		}
	}
}

func (c *readSetBuilder) level(product, location string) {
	c.products[product] = true
	c.locations[location] = true
}

func (c *readSetBuilder) reservation(id string) {
	if key, ok := ReservationKey(id); ok {
		c.reservations[key] = true
	}
}
