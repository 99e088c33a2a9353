package database_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"onhand/models"
)

// An update that adds nothing is not refused: the units that a reservation has may stay
// where they are, whatever has changed since. What it adds is subject to every limit.
func TestUpdateThatAddsNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for name, change := range map[string]struct {
			make  func()
			error models.UserError // of one unit more
		}{
			"backorders end":            {func() { s.settings("mug", "inventory_policy = 'DENY'") }, short(0, "mug", 5, 4)},
			"the limit is lowered":      {func() { s.settings("mug", "backorder_limit = 0") }, short(0, "mug", 5, 4)},
			"the location is closed":    {func() { s.exec("UPDATE locations SET active = $1", false) }, short(0, "mug", 5, 4)},
			"the channel has none left": {func() { s.exec("DELETE FROM channel_locations WHERE channel_id = 'all'") }, short(0, "mug", 5, 4)},
			"the channel is deleted":    {func() { s.exec("DELETE FROM channels WHERE channel_id = 'all'") }, short(0, "mug", 5, 4)},
			"the maximum is lowered": {func() { s.settings("mug", "max_per_reservation = 1") },
				models.QuantityLimitExceededError{Failure: path("lines", 0, "quantity"), ProductID: "mug", Requested: 5, Limit: 1}},
		} {
			s := s.with(t)
			s.exec("UPDATE locations SET active = $1 WHERE location_id <> 'far'", true)
			s.ok(channels(models.ChannelRow{ChannelID: "all", LocationIDs: []string{"north", "south", "far"}}))
			s.stock("mug", "north", 2, "south", 1)
			s.stock("cup", "north", 9, "south", 9)
			s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 1, max_per_reservation = NULL")
			w := reserve(line("mug", 4))
			w.Channel = "all"
			r := s.ok(w).Reservation
			require.Equal(t, -1, s.level("mug", "north").Available, name)
			change.make()

			levels := s.levels()
			for _, same := range [][]models.RequestedLine{
				{line("mug", 4)}, {line("mug", 1), line("mug", 3)}, {pinned("mug", 3, "north"), line("mug", 1)}, {pinned("mug", 1, "south"), pinned("mug", 3, "north")},
			} {
				r = s.ok(update(r.ID, same...)).Reservation
				require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 3}, {LocationID: "south", Quantity: 1}}, allocations(t, r), name)
				require.Equal(t, levels, s.levels(), name)
			}
			s.fails(s.do(update(r.ID, line("mug", 5))), change.error)
			partial := update(r.ID, line("mug", 5), pinned("cup", 1, "nowhere"))
			s.fails(s.do(partial), change.error, notFound("lines", 1, "locationId"))
			require.Equal(t, levels, s.levels(), name)

			r = s.ok(update(r.ID, line("mug", 2))).Reservation
			require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2}}, allocations(t, r), name)
			require.Equal(t, models.Quantities{Reserved: 2}, s.level("mug", "north"), name)
			require.Equal(t, models.Quantities{Available: 1}, s.level("mug", "south"), name)
			s.ok(release(r.ID))
		}
	})
}

// Units that a reservation has may be given back for others: a line that grows moves to
// open locations where these have all of it.
func TestUpdateMovesToOpenLocations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 5)
		r := s.reserved(line("mug", 2))
		s.ok(locations(models.LocationRow{LocationID: "north", Active: new(false)}))
		r = s.ok(update(r.ID, line("mug", 5))).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 5}}, allocations(t, r))
		s.ok(release(r.ID))
		s.ok(locations(models.LocationRow{LocationID: "north", Active: new(true)}))
		r = s.reserved(line("mug", 2))
		s.ok(locations(models.LocationRow{LocationID: "north", Active: new(false)}))
		r = s.ok(update(r.ID, line("mug", 7))).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2}, {LocationID: "south", Quantity: 5}}, allocations(t, r))
		s.fails(s.do(update(r.ID, pinned("mug", 3, "north"))), short(0, "mug", 3, 2))
	})
}

// A product that was not tracked has units without a location in a reservation. They
// stay so when it is tracked; only what is added is reserved in a level.
func TestUpdateOfAProductThatIsTrackedNow(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("card", "north", 1)
		s.exec("UPDATE products SET tracked = $1 WHERE product_id = 'card'", false)
		id := s.reserved(line("card", 3)).ID
		s.exec("UPDATE products SET tracked = $1 WHERE product_id = 'card'", true)
		require.Empty(t, allocations(t, s.ok(update(id, line("card", 3))).Reservation))
		s.fails(s.do(update(id, line("card", 5))), short(0, "card", 5, 4))
		r := s.ok(update(id, line("card", 4))).Reservation
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 1}}, allocations(t, r))
		s.ok(resolve(id, models.ReservationCommitted))
		require.Equal(t, models.Quantities{Committed: 1}, s.level("card", "north"))
		s.ok(resolvePart(id, models.ReservationFulfilled, part("card", 2)))
		require.Equal(t, models.ReservationFulfilled, s.ok(resolve(id, models.ReservationFulfilled)).Reservation.State)
		require.Equal(t, models.Quantities{}, s.level("card", "north"))
	})
}

// A count below the floor is taken where it is not below what is there.
func TestCountNearerToTheFloor(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 0)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 9")
		s.reserved(line("mug", 8))
		for _, floor := range []string{"inventory_policy = 'DENY'", "inventory_policy = 'CONTINUE', backorder_limit = 2"} {
			s.settings("mug", floor)
			have := s.level("mug", "north").Available
			s.fails(s.do(counted(row("mug", "north", models.Available, have-1))), models.InvalidInputError{Failure: path("rows", 0, "quantity")})
			s.fails(s.do(adjust(delta("mug", "north", models.Available, -1))), tooFew(0, "delta", "mug", 1, 0))
			s.ok(counted(row("mug", "north", models.Available, have)))
			s.ok(counted(row("mug", "north", models.Available, have+2)))
			s.ok(adjust(delta("mug", "north", models.Available, 1)))
			require.Equal(t, have+3, s.level("mug", "north").Available)
		}
		s.ok(counted(row("mug", "north", models.Available, -2)))
		s.ok(counted(row("mug", "north", models.Available, 3)))
		s.fails(s.do(counted(row("mug", "north", models.Available, -3))), models.InvalidInputError{Failure: path("rows", 0, "quantity")})
		s.ok(counted(row("mug", "north", models.Available, -2)))
	})
}

// The table agrees: a level below its floor may rise there, and never falls.
func TestTableBelowTheFloor(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 0)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 9")
		s.ok(adjust(delta("mug", "north", models.Available, -8)))
		s.settings("mug", "backorder_limit = 3")
		set := func(n int) error {
			_, err := s.raw.Exec("UPDATE stock_levels SET available = $1 WHERE product_id = 'mug'", n)
			return err
		}
		for _, n := range []int{-8, -6, -4} {
			require.NoError(t, set(n))
			require.Error(t, set(n-1), "below %d", n)
		}
		require.NoError(t, set(-3))
		require.NoError(t, set(0))
		require.Error(t, set(-4))
		require.NoError(t, set(-3), "as far as the limit")
		s.settings("mug", "inventory_policy = 'DENY'")
		require.NoError(t, set(-1))
		require.Error(t, set(-2))
		require.NoError(t, set(2))
		require.Error(t, set(-1))
	})
}

// squeezed is a shop whose limits become narrower, with reservations of before.
type squeezed struct {
	*shop
	prefix string
	active []*models.Reservation
	orders []*models.Reservation
}

// After any change of limits, locations, channels and stock, a write that takes no more
// is not refused, and takes no more.
func TestWhatTakesNoMoreIsNotRefused(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			q := newSqueezed(s.with(rt), fmt.Sprintf("run %d ", runs), rt)
			for range 4 {
				q.squeeze(rt)
				for _, w := range []func(*rapid.T){q.update, q.count, q.adjust, q.move, q.resolve, q.extend} {
					q.harmless(rt, w)
				}
			}
		})
	})
}

func (q *squeezed) products() []string { return []string{q.prefix + "mug", q.prefix + "cup"} }

// other is a product that any cart may have.
func (q *squeezed) other() string { return q.prefix + "card" }

func newSqueezed(s *shop, prefix string, t *rapid.T) *squeezed {
	q := &squeezed{shop: s, prefix: prefix}
	s.ok(locations(models.LocationRow{LocationID: "north", Active: new(true)}, models.LocationRow{LocationID: "south", Active: new(true)}))
	s.ok(channels(models.ChannelRow{ChannelID: "web", LocationIDs: []string{"north", "south"}}))
	s.ok(products(models.ProductRow{ProductID: q.other(), Tracked: new(false)}))
	for _, id := range q.products() {
		s.stock(id, "north", 3, "south", 2, "far", 2)
		s.ok(products(models.ProductRow{ProductID: id, InventoryPolicy: new(models.Continue), BackorderLimit: given(9)}))
		s.ok(adjust(delta(id, "north", models.Damaged, 5)))
	}
	for range 4 {
		w := reserve()
		for _, id := range q.products() {
			w.Lines = append(w.Lines, line(id, rapid.IntRange(1, 3).Draw(t, "quantity")))
		}
		w.Channel = rapid.SampledFrom([]string{"", "web"}).Draw(t, "channel")
		r := q.write(t, w)
		require.Empty(t, r.Errors)
		q.active = append(q.active, r.Reservation)
	}
	return q
}

// write executes a write under lock, or optimistically where it can.
func (q *squeezed) write(t *rapid.T, w models.Write) models.WriteResult {
	if rapid.Bool().Draw(t, "optimistic") {
		return q.do(w)
	}
	out, err := q.WriteUnderLock(context.Background(), []models.Write{w})
	require.NoError(t, err)
	return out.Results[0]
}

// squeeze lowers a limit, closes a location, or sells what there is.
func (q *squeezed) squeeze(t *rapid.T) {
	id := rapid.SampledFrom(q.products()).Draw(t, "squeezed")
	place := rapid.SampledFrom([]string{"north", "south"}).Draw(t, "place")
	switch rapid.IntRange(0, 6).Draw(t, "squeeze") {
	case 0:
		q.ok(products(models.ProductRow{ProductID: id, InventoryPolicy: new(models.Deny)}))
	case 1:
		q.ok(products(models.ProductRow{ProductID: id, BackorderLimit: given(rapid.IntRange(0, 3).Draw(t, "limit"))}))
	case 2:
		q.ok(products(models.ProductRow{ProductID: id, MaxPerReservation: given(1)}))
	case 3:
		q.ok(locations(models.LocationRow{LocationID: place, Active: new(false)}))
	case 4:
		q.ok(channels(models.ChannelRow{ChannelID: "web", LocationIDs: []string{"far"}}))
	case 5:
		q.ok(products(models.ProductRow{ProductID: id, Tracked: new(rapid.Bool().Draw(t, "tracked"))}))
	case 6:
		w := reserve(line(id, 9))
		w.AllowPartial = true
		q.write(t, w)
	}
}

// available is what each level has, as a sale sees it.
func (q *squeezed) available() map[levelKey]int {
	all := map[levelKey]int{}
	for at, l := range q.levels() {
		if strings.HasPrefix(at.product, q.prefix) {
			all[at] = l.Available
		}
	}
	return all
}

// harmless executes a write that takes no more.
func (q *squeezed) harmless(t *rapid.T, write func(*rapid.T)) {
	before := q.available()
	write(t)
	for at, n := range q.available() {
		require.GreaterOrEqual(t, n, before[at], "%v", at)
	}
	require.Len(t, q.available(), len(before))
}

// granted executes a write that must not be refused.
func (q *squeezed) granted(t *rapid.T, w models.Write) *models.Reservation {
	r := q.write(t, w)
	require.Empty(t, r.Errors, "%+v", w)
	return r.Reservation
}

// pick draws one of some reservations; nil where there is none.
func (q *squeezed) pick(t *rapid.T, list []*models.Reservation) (int, *models.Reservation) {
	if len(list) == 0 {
		return 0, nil
	}
	i := rapid.IntRange(0, len(list)-1).Draw(t, "reservation")
	return i, list[i]
}

// update keeps lines as they are, or makes them smaller, or drops them, and may add
// another product.
func (q *squeezed) update(t *rapid.T) {
	i, r := q.pick(t, q.active)
	if r == nil {
		return
	}
	w := update(r.ID)
	for _, l := range r.Lines {
		n := rapid.IntRange(0, l.Quantity).Draw(t, "fewer")
		if rapid.Bool().Draw(t, "same") {
			n = l.Quantity
		}
		for _, a := range l.Allocations {
			if part := min(n, a.Quantity); part > 0 && rapid.Bool().Draw(t, "named") {
				w.Lines = append(w.Lines, pinned(l.ProductID, part, a.LocationID))
				n -= part
			}
		}
		if n > 0 {
			w.Lines = append(w.Lines, line(l.ProductID, n))
		}
	}
	if len(w.Lines) == 0 || rapid.Bool().Draw(t, "another") {
		w.Lines = append(w.Lines, line(q.other(), 7))
	}
	w.AllowPartial = rapid.Bool().Draw(t, "partial")
	q.active[i] = q.granted(t, w)
}

// place draws a level.
func (q *squeezed) place(t *rapid.T) levelKey {
	return levelKey{rapid.SampledFrom(q.products()).Draw(t, "product"), rapid.SampledFrom(anywhere).Draw(t, "location")}
}

func (q *squeezed) count(t *rapid.T) {
	at, state := q.place(t), rapid.SampledFrom([]models.State{models.Available, models.Damaged, models.Incoming}).Draw(t, "state")
	w := counted(row(at.product, at.location, state, *new(q.level(at.product, at.location)).Of(state)+rapid.IntRange(0, 2).Draw(t, "more")))
	q.granted(t, w)
}

func (q *squeezed) adjust(t *rapid.T) {
	at := q.place(t)
	q.granted(t, adjust(delta(at.product, at.location, models.Available, rapid.IntRange(1, 2).Draw(t, "more"))))
}

func (q *squeezed) move(t *rapid.T) {
	at := q.place(t)
	if q.level(at.product, "north").Damaged > 0 {
		q.granted(t, moveStock(moveRow(at.product, 1, "north", models.Damaged, at.location, models.Available)))
	}
}

// resolve commits, releases, fulfils or cancels a reservation, or a part of it.
func (q *squeezed) resolve(t *rapid.T) {
	list, steps := &q.active, []models.ReservationState{models.ReservationCommitted, models.ReservationReleased}
	if rapid.Bool().Draw(t, "order") {
		list, steps = &q.orders, []models.ReservationState{models.ReservationFulfilled, models.ReservationCancelled}
	}
	i, r := q.pick(t, *list)
	if r == nil {
		return
	}
	w := resolve(r.ID, rapid.SampledFrom(steps).Draw(t, "step"))
	if w.To != models.ReservationReleased && rapid.Bool().Draw(t, "in part") {
		for _, l := range r.Lines {
			if left := l.Left(); left > 0 {
				w.Lines = append(w.Lines, part(l.ProductID, rapid.IntRange(1, left).Draw(t, "part")))
				break
			}
		}
	}
	next := q.granted(t, w)
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	if next.State == models.ReservationCommitted {
		q.orders = append(q.orders, next)
	}
}

func (q *squeezed) extend(t *rapid.T) {
	if i, r := q.pick(t, q.active); r != nil {
		q.active[i] = q.granted(t, models.ExtendReservation{ID: r.ID, TTL: time.Duration(rapid.IntRange(0, 2).Draw(t, "hours")) * time.Hour})
	}
}
