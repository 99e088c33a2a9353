package readset

import (
	"slices"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/models/owner"
	"onhand/store/database/decide"
	"onhand/store/database/decide/counting"
	"onhand/store/database/decide/holderusage"
	"onhand/store/database/decide/keyhash"
)

// ReadSet names the rows that a batch of writes needs, and so what is locked and
// loaded.
type ReadSet struct {
	Reservations        [][16]byte // locked, and the levels of their lines too
	Products            []string   // locked with their levels
	KeyedReservations   [][16]byte // what the keys of reservations created before; read once the levels are locked
	AnswerKeys          [][16]byte
	Locations           []string
	Channels            []string
	UpdatedReservations [][16]byte // reservations that may take units, whose channels are needed too
	ChangesSettings     bool       // products, locations and channels are locked too
	// Counts are the levels that were counted earlier, the newest counts first.
	Counts []counting.Ref
	// First are channels whose first active location is needed, to make a level there. The
	// empty id stands for all locations.
	First []string
	// Held are the holders, whose rows are locked first, and the holdings that are needed.
	Held holderusage.NeededHoldings
	// Purchases are those that are needed, once the rows of products are locked.
	Purchases holderusage.NeededPurchases
}

// Of returns the read set of a batch of writes.
func Of(writes []models.Write, hashes []keyhash.KeyHashes) ReadSet {
	b := readSetBuilder{
		products: map[string]bool{}, locations: map[string]bool{}, channels: map[string]bool{},
		reservations: map[[16]byte]bool{}, keyedReservations: map[[16]byte]bool{}, answerKeys: map[[16]byte]bool{}, updatedReservations: map[[16]byte]bool{},
	}
	settings := false
	for i, write := range writes {
		settings = settings || decide.ChangesSettings(write)
		if write.Key() != "" {
			b.answerKeys[hashes[i].Answer] = true
			if _, reserving := write.(models.Reserve); reserving {
				b.keyedReservations[hashes[i].Reservation] = true
			}
		}
		b.write(write)
	}
	held, own := b.held.Sorted(), decide.BinaryKeys(b.reservations)
	return ReadSet{
		Products: decide.SortedKeys(b.products), Locations: decide.SortedKeys(b.locations), Channels: decide.SortedKeys(b.channels),
		Reservations: own, KeyedReservations: decide.BinaryKeys(b.keyedReservations),
		AnswerKeys: decide.BinaryKeys(b.answerKeys), UpdatedReservations: decide.BinaryKeys(b.updatedReservations),
		ChangesSettings: settings, Counts: b.distinctCounts(), Held: held,
		Purchases: holderusage.NeededPurchases{IDs: held.IDs, Products: held.Products, Claims: held.Claims, Reacquired: b.reacquired, Own: own},
	}
}

// readSetBuilder collects a read set without repeats.
type readSetBuilder struct {
	products, locations, channels   map[string]bool
	reservations, keyedReservations map[[16]byte]bool
	answerKeys, updatedReservations map[[16]byte]bool
	counts                          []counting.Ref
	held                            holderusage.NeededHoldings
	reacquired                      [][16]byte
}

// write adds the rows of one write.
func (b *readSetBuilder) write(write models.Write) {
	switch write := write.(type) {
	case models.Reserve:
		b.lines(write.Lines)
		b.held.Reserve(holderlimits.LimitedHolder(write.Holder, write.Access), write.Lines)
		if write.Channel != "" {
			b.channels[write.Channel] = true
		}
	case models.UpdateReservation:
		if key, ok := b.reservation(write.ID); ok {
			b.updatedReservations[key] = true
			b.held.Update(key, write.Lines)
		}
		b.lines(write.Lines)
	case models.ExtendReservation:
		if key, ok := b.reservation(write.ID); ok {
			b.held.Update(key, nil)
		}
	case models.ClaimReservation:
		if key, ok := b.reservation(write.ID); ok {
			b.held.Claim(key, owner.OfSubject(write.Access.Subject))
		}
	case models.Resolve:
		b.reservation(write.ID)
		if key, ok := decide.ReservationKey(write.ID); ok && write.Reacquire {
			b.updatedReservations[key] = true
			b.reacquired = append(b.reacquired, key)
		}
	case models.Adjust:
		b.rows(write, func(i int) { b.level(write.Rows[i].ProductID, write.Rows[i].LocationID) })
	case models.SetStock:
		b.rows(write, func(i int) {
			row := write.Rows[i]
			b.level(row.ProductID, row.LocationID)
			if row.CountedAt != nil {
				b.counts = append(b.counts, counting.Ref{Product: row.ProductID, Location: row.LocationID, At: counting.Moment(*row.CountedAt)})
			}
		})
	case models.MoveStock:
		b.rows(write, func(i int) {
			row := write.Rows[i]
			b.level(row.ProductID, row.From.LocationID)
			b.level(row.ProductID, row.To.LocationID)
		})
	case models.UpsertProducts:
		b.rows(write, func(i int) { b.products[write.Rows[i].ProductID] = true })
	case models.UpsertLocations:
		b.rows(write, func(i int) { b.locations[write.Rows[i].LocationID] = true })
	case models.UpsertChannels:
		b.rows(write, func(i int) {
			b.channels[write.Rows[i].ChannelID] = true
			for _, id := range write.Rows[i].LocationIDs {
				b.locations[id] = true
			}
			for _, buffer := range write.Rows[i].ProductBuffers {
				b.products[buffer.ProductID] = true
			}
		})
	}
}

func (b *readSetBuilder) lines(lines []models.RequestedLine) {
	for _, l := range lines {
		b.products[l.ProductID] = true
		if l.LocationID != "" {
			b.locations[l.LocationID] = true
		}
	}
}

// rows calls want for each row that will be decided. It leaves out malformed rows:
// they may hold text that the database does not take.
func (b *readSetBuilder) rows(w models.Bulk, want func(i int)) {
	bad := models.BadRows(w)
	for i := range w.Size() {
		if bad[i] == nil {
			want(i)
		}
	}
}

func (b *readSetBuilder) level(product, location string) {
	b.products[product] = true
	b.locations[location] = true
}

func (b *readSetBuilder) reservation(id string) (key [16]byte, ok bool) {
	if key, ok = decide.ReservationKey(id); ok {
		b.reservations[key] = true
	}
	return key, ok
}

// distinctCounts are the counts without repeats, the newest first: a bound on the work
// then refuses the oldest.
func (b *readSetBuilder) distinctCounts() []counting.Ref {
	slices.SortFunc(b.counts, counting.Ref.Compare)
	return slices.CompactFunc(b.counts, func(x, y counting.Ref) bool { return x.Compare(y) == 0 })
}
