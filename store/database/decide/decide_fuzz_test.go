package decide

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"onhand/models"
	"onhand/store/database/decide/counting"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/storederrors"
)

// script turns bytes into choices, so that the fuzzer can steer what is written. When
// the bytes end, every choice is the first one.
type script struct {
	left   []byte
	texts  []string
	number int64
}

func (s *script) choice(n int) int {
	if len(s.left) == 0 {
		return 0
	}
	b := s.left[0]
	s.left = s.left[1:]
	return int(b) % n
}

func pick[T any](s *script, list ...T) T { return list[s.choice(len(list))] }

func (s *script) text(usual ...string) string { return pick(s, append(usual, s.texts...)...) }
func (s *script) units() int {
	return pick(s, 1, 2, 5, 0, -1, models.QuantityMax, -models.QuantityMax, models.QuantityMax+1, int(s.number), int(s.number)%7)
}
func (s *script) moment() *time.Time {
	odd := time.Unix(s.number, 0)
	return pick(s, nil, new(fuzzCounted), new(fuzzNow), new(fuzzNow.Add(time.Hour)), &odd)
}
func (s *script) maybe() *int {
	n := s.units()
	return pick(s, nil, &n)
}
func (s *script) product() string {
	return s.text("plain", "backorder", "endless", "full", "unknown", "preorder")
}
func (s *script) location() string { return s.text("north", "south", "closed", "nowhere") }
func (s *script) state() models.State {
	return pick(s, append(slices.Clone(models.States), models.State(s.texts[0]))...)
}
func (s *script) key() string { return s.text("key-1", "key-2", "key-3") }
func (s *script) ttl() time.Duration {
	return pick(s, time.Minute, 0, -1, time.Duration(s.number)*time.Second)
}
func (s *script) policy() models.ErrorPolicy {
	return pick(s, models.RejectEverything, models.RejectFailedRows)
}
func (s *script) reservation() string {
	return s.text(ReservationID(activeKey[:]), ReservationID(orderKey[:]), ReservationID(expiredKey[:]), "res_unknown")
}

func rowsOf[T any](s *script, row func() T) []T {
	rows := make([]T, pick(s, 1, 2, 3, 0))
	for i := range rows {
		rows[i] = row()
	}
	return rows
}

func (s *script) line() models.RequestedLine {
	return models.RequestedLine{ProductID: s.product(), Quantity: s.units(), LocationID: pick(s, "", s.location())}
}

func (s *script) place() models.StockPlace {
	return models.StockPlace{LocationID: s.location(), State: s.state()}
}

// write makes one of every write that a client can send.
func (s *script) write() models.Write {
	switch s.choice(10) {
	case 1:
		return models.UpdateReservation{IdempotencyKey: s.key(), ID: s.reservation(), Lines: rowsOf(s, s.line), TTL: s.ttl(), AllowPartial: pick(s, false, true)}
	case 2:
		return models.ExtendReservation{ID: s.reservation(), TTL: s.ttl()}
	case 3:
		to := pick(s, models.ReservationReleased, models.ReservationExpired, models.ReservationCommitted, models.ReservationFulfilled, models.ReservationCancelled)
		parts := rowsOf(s, func() models.LinePart { return models.LinePart{ProductID: s.product(), Quantity: s.units()} })
		return models.Resolve{IdempotencyKey: s.key(), ID: s.reservation(), To: to, Lines: pick(s, nil, parts), OrderRef: s.text(""), Actor: "clerk",
			Reacquire: to == models.ReservationCommitted && pick(s, false, true)}
	case 4:
		return models.Adjust{IdempotencyKey: s.key(), Reason: pick(s, models.ReasonOther, models.ReasonExpired), Note: s.text(""), ErrorPolicy: s.policy(),
			Rows: rowsOf(s, func() models.AdjustRow {
				return models.AdjustRow{ProductID: s.product(), LocationID: s.location(), State: s.state(), Delta: s.units()}
			})}
	case 5:
		return models.SetStock{IdempotencyKey: s.key(), Reason: models.ReasonCycleCount, Reference: s.text(""), ErrorPolicy: s.policy(), OnlyNew: pick(s, false, true),
			Rows: rowsOf(s, func() models.SetRow {
				return models.SetRow{ProductID: s.product(), LocationID: s.location(), State: s.state(), Quantity: s.units(), ChangeFromQuantity: s.maybe(), IgnoreStale: pick(s, true, false), CountedAt: s.moment()}
			})}
	case 6:
		return models.MoveStock{IdempotencyKey: s.key(), Reason: models.ReasonOther, ErrorPolicy: s.policy(),
			Rows: rowsOf(s, func() models.MoveRow {
				return models.MoveRow{ProductID: s.product(), Quantity: s.units(), From: s.place(), To: s.place()}
			})}
	case 7:
		return models.UpsertProducts{IdempotencyKey: s.key(), ErrorPolicy: s.policy(), Rows: rowsOf(s, func() models.ProductRow {
			title, at := s.texts[0], time.Unix(s.number, 0)
			return models.ProductRow{ProductID: s.product(), Title: models.Patch[string]{Given: true, Value: &title}, BackorderLimit: models.Patch[int]{Given: true, Value: s.maybe()},
				LowStockThreshold: s.maybe(), MaxPerReservation: models.Patch[int]{Given: true, Value: s.maybe()}, NextRestockAt: models.Patch[time.Time]{Given: true, Value: &at}}
		})}
	case 8:
		return models.UpsertLocations{IdempotencyKey: s.key(), ErrorPolicy: s.policy(), Rows: rowsOf(s, func() models.LocationRow {
			name := s.texts[0]
			return models.LocationRow{LocationID: s.location(), Name: &name, Priority: s.maybe()}
		})}
	case 9:
		order := models.SourcingOrder(s.text(string(models.ByPriority)))
		return models.UpsertChannels{IdempotencyKey: s.key(), ErrorPolicy: s.policy(), Rows: rowsOf(s, func() models.ChannelRow {
			return models.ChannelRow{ChannelID: s.text("web"), Sourcing: &order, LocationIDs: rowsOf(s, s.location)}
		})}
	}
	return models.Reserve{IdempotencyKey: s.key(), Lines: rowsOf(s, s.line), TTL: s.ttl(), DefaultTTL: time.Minute,
		Channel: pick(s, "", "web", s.text("none")), AllowPartial: pick(s, false, true), OwnerRef: s.text("")}
}

// activeKey, orderKey and expiredKey are the keys of the reservations before any write: an
// active one, an order, and an expired one.
var activeKey, orderKey, expiredKey = [16]byte{1}, [16]byte{2}, [16]byte{3}

// fuzzNow is the time of the writes; fuzzCounted, when levels were counted.
var fuzzNow, fuzzCounted = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)

// fuzzUnitOfWork returns a shop as a transaction has loaded it.
func fuzzUnitOfWork() *UnitOfWork {
	u := NewUnitOfWork()
	u.Now, u.Epoch = fuzzNow, "e"
	limit, most := 5, 1000
	for _, p := range []models.Product{
		{ProductID: "plain", Tracked: true, InventoryPolicy: models.Deny, MaxPerReservation: &most, Version: 3},
		{ProductID: "backorder", Tracked: true, InventoryPolicy: models.Continue, BackorderLimit: &limit, Version: 3},
		{ProductID: "endless", InventoryPolicy: models.Deny, Version: 3},
		{ProductID: "full", Tracked: true, InventoryPolicy: models.Continue, Version: 3},
	} {
		u.Products[p.ProductID] = &p
	}
	soon := models.Product{ProductID: "preorder", Tracked: true, InventoryPolicy: models.Continue, BackorderLimit: &limit, Version: 3} // without a level
	u.NoFirst([]string{"", "web", "none"})
	for i, id := range []string{"north", "south", "closed"} {
		l := models.Location{LocationID: id, Priority: i, Active: id != "closed"}
		u.Locations[id] = l
		for product := range u.Products {
			q := models.Quantities{Available: 4, Reserved: 6, Committed: 6, Damaged: 1}
			if product == "full" {
				q = models.Quantities{Available: models.QuantityMax, Reserved: models.QuantityMax - 1, Committed: models.QuantityMax, Incoming: models.QuantityMax}
			}
			u.AddLevel(&models.Level{ProductID: product, LocationID: id, Quantities: q, Active: l.Active, Priority: i})
		}
	}
	u.Products[soon.ProductID] = &soon
	for product := range u.Products {
		for location := range u.Locations {
			basis := &counting.Basis{Ref: counting.Ref{Product: product, Location: location, At: counting.Moment(fuzzCounted)}, Since: models.Quantities{Available: -2, Incoming: 3}, Complete: location != "south"}
			basis.Newest.Damaged = fuzzCounted.Add(time.Minute)
			u.Counts.Add(basis)
		}
	}
	u.AddFirst(FirstLocation{Location: u.Locations["north"]})
	u.AddFirst(FirstLocation{Channel: "web", Location: u.Locations["south"]})
	u.Channels["web"] = &models.ChannelMembers{Channel: models.Channel{ChannelID: "web", LocationIDs: []string{"south"}, Sourcing: models.FewestLocations}, Members: map[string]bool{"south": true}}
	lines := []models.ReservationLine{
		{ProductID: "plain", Requested: 3, Quantity: 3, Allocations: []models.Allocation{{LocationID: "north", Quantity: 2}, {LocationID: "south", Quantity: 1}},
			Pinned: []models.Allocation{{LocationID: "south", Quantity: 1}}},
		{ProductID: "full", Requested: 2, Quantity: 2, Allocations: []models.Allocation{{LocationID: "north", Quantity: 2}}},
	}
	for key, r := range map[[16]byte]models.Reservation{
		activeKey:  {State: models.ReservationActive, ExpiresAt: u.Now.Add(time.Hour)},
		orderKey:   {State: models.ReservationCommitted, ExpiresAt: u.Now.Add(-time.Hour)},
		expiredKey: {State: models.ReservationActive, ExpiresAt: u.Now.Add(-time.Hour)},
	} {
		r.ID, r.Lines, r.CreatedAt, r.Version = ReservationID(key[:]), lines, u.Now.Add(-2*time.Hour), 1
		u.Reservations[key] = &StoredReservation{Reservation: r, Key: key, Fingerprint: []byte("x")}
	}
	return u
}

func levelsIn(u *UnitOfWork) map[LevelID]models.Quantities {
	all := map[LevelID]models.Quantities{}
	for product, levels := range u.Levels {
		for _, l := range levels {
			all[LevelID{product, l.LocationID}] = l.Quantities
		}
	}
	return all
}

// FuzzDecide checks that every write is refused by its own check with a message and a
// path, or can be decided after any other writes: without a fault, with errors that can
// be stored and read back, with levels within their bounds, with a ledger that adds up
// to them, and with the same answer for its key unless it was refused.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{}, "", int64(0))
	for kind := range byte(10) {
		f.Add([]byte{kind, 0, 0, 1, kind, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "Käse 🧀", int64(7))
		f.Add([]byte{kind, 2, 2, 3, 8, 0, kind, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, kind, 1}, "\xff\x00", int64(-1)<<62)
	}
	f.Fuzz(func(t *testing.T, choices []byte, text string, number int64) {
		const writesMax = 8
		s := &script{left: choices, texts: []string{text}, number: number}
		u := fuzzUnitOfWork()
		before := levelsIn(u)
		for range writesMax {
			w := s.write()
			if errs := w.Check(24 * time.Hour); len(errs) > 0 {
				refused(t, w, errs)
				continue
			}
			decideTwice(t, u, w)
			checkLedger(t, u, before)
			if len(s.left) == 0 {
				return
			}
		}
	})
}

// refused checks that each error has a type, a message and a path, and is JSON.
func refused(t *testing.T, w models.Write, errs []models.UserError) {
	for _, e := range errs {
		path := e.GetPath()
		if e.GetMessage() == "" || len(path) < 2 || path[0] != "input" {
			t.Fatalf("%+v is refused with %#v", w, e)
		}
	}
	written, err := json.Marshal(storederrors.Write(errs))
	if err != nil {
		t.Fatal(err)
	}
	var stored []storederrors.StoredError
	if err := json.Unmarshal(written, &stored); err != nil {
		t.Fatal(err)
	}
	if back, err := storederrors.Read(stored); err != nil || !reflect.DeepEqual(back, errs) {
		t.Fatalf("%#v is stored as %s and read as %#v, %v", errs, written, back, err)
	}
}

// decideTwice decides a write twice. The second time it has no effect: it is replayed, or
// refused again.
func decideTwice(t *testing.T, u *UnitOfWork, w models.Write) {
	hashes := keyhash.NewSecret("secret").Hash(w)
	before := levelsIn(u)
	result := (&Decider{UnitOfWork: u}).Decide(w, hashes)
	if result.Fault != nil {
		t.Fatalf("%+v: %v", w, result.Fault)
	}
	if fresh := slices.DeleteFunc(slices.Clone(result.Errors), isIdempotency); len(fresh) > 0 {
		refused(t, w, fresh)
	}
	after := levelsIn(u)
	bulk, isBulk := w.(models.Bulk)
	_, reserving := w.(models.Reserve)
	if !result.Replayed && len(result.Errors) > 0 && (isBulk && bulk.Policy() == models.RejectEverything || reserving && result.Reservation == nil) && !maps.Equal(before, after) {
		t.Fatalf("%+v is refused with %v and changed something", w, result.Errors)
	}
	if w.Key() == "" {
		return
	}
	again := (&Decider{UnitOfWork: u}).Decide(w, hashes)
	if !again.Replayed && (len(result.Errors) == 0 || len(again.Errors) == 0) {
		t.Fatalf("%+v was decided twice", w)
	}
	if again.Replayed && !result.Replayed && len(result.Errors) > 0 && (isBulk && bulk.Policy() == models.RejectEverything || reserving && result.Reservation == nil) {
		t.Fatalf("%+v is refused with %v, and its key was bound", w, result.Errors)
	}
	if !maps.Equal(after, levelsIn(u)) {
		t.Fatalf("%+v took effect twice", w)
	}
	if again.Replayed && (fmt.Sprint(again.Errors) != fmt.Sprint(result.Errors) || (again.Reservation == nil) != (result.Reservation == nil)) {
		t.Fatalf("%+v: first %+v, then %+v", w, result, again)
	}
}

func isIdempotency(e models.UserError) bool { _, is := e.(models.IdempotencyError); return is }

// checkLedger checks that every level is within its bounds and that the ledger adds up
// to it.
func checkLedger(t *testing.T, u *UnitOfWork, opening map[LevelID]models.Quantities) {
	sums := maps.Clone(opening)
	for _, m := range u.Movements {
		id := LevelID{m.ProductID, m.LocationID}
		if sums[id] = sums[id].Plus(m.Delta); sums[id] != m.After {
			t.Fatalf("movement of %v: %+v leaves %+v, but its after is %+v", id, m.Delta, sums[id], m.After)
		}
	}
	for id, q := range levelsIn(u) {
		if q != sums[id] {
			t.Fatalf("%v is %+v, its ledger %+v", id, q, sums[id])
		}
		if err := q.Check(u.Products[id.Product].Floor()); err != nil {
			t.Fatalf("%v: %v", id, err)
		}
	}
}
