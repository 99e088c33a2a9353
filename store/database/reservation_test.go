package database_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/owner"
)

// allocations returns the allocations of the only line of a reservation.
func allocations(t *testing.T, r *models.Reservation) []models.Allocation {
	t.Helper()
	require.Len(t, r.Lines, 1)
	return r.Lines[0].Allocations
}

// A new reservation returns what was asked and reserved, and until when. A read returns
// the same.
func TestReserveReturnsItsLines(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		w := reserve(line("mug", 2))
		w.OwnerRef, w.Holder, w.TTL = "cart 7", owner.OfAddress("203.0.113.7"), 90*time.Second
		r := s.ok(w).Reservation
		require.Regexp(t, `^res_[0-9a-f]{32}$`, r.ID)
		require.Equal(t, models.ReservationActive, r.State)
		require.Equal(t, "cart 7", r.Owner)
		require.Equal(t, w.Holder, r.Holder)
		require.Nil(t, r.OrderRef())
		require.Equal(t, int64(1), r.Version)
		require.Equal(t, 90*time.Second, r.ExpiresAt.Sub(r.CreatedAt))
		require.Equal(t, []models.ReservationLine{{
			ProductID: "mug", Requested: 2, Quantity: 2, Allocations: []models.Allocation{{LocationID: "north", Quantity: 2}},
		}}, r.Lines)
		require.Equal(t, models.Quantities{Available: 3, Reserved: 2}, s.level("mug", "north"))
		got := s.reservation(r.ID)
		got.ServerTime = r.ServerTime
		require.Equal(t, *r, got)
	})
}

// A cart is reserved with every line or not at all, and gets every shortage at once. A
// refused cart has no effect.
func TestReserveIsAllOrNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 3)
		s.stock("pen", "north", 9)
		levels, outbox, ledger := s.levels(), s.number("SELECT count(*) FROM outbox"), len(s.movements(""))

		r := s.do(reserve(line("mug", 6), line("pen", 1), line("cup", 4)))
		require.Nil(t, r.Reservation)
		s.fails(r, short(0, "mug", 6, 5), short(2, "cup", 4, 3))
		require.Equal(t, levels, s.levels())
		require.Equal(t, outbox, s.number("SELECT count(*) FROM outbox"))
		require.Len(t, s.movements(""), ledger)
		require.Zero(t, s.number("SELECT count(*) FROM reservations"))

		reserved := s.reserved(line("mug", 5), line("pen", 1), line("cup", 3))
		require.Len(t, reserved.Lines, 3)
		require.Equal(t, models.Quantities{Reserved: 5}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Reserved: 3}, s.level("cup", "north"))
		require.Equal(t, models.Quantities{Available: 8, Reserved: 1}, s.level("pen", "north"))
	})
}

// Lines of one product count together: two lines of 3 are 6.
func TestReserveAddsUpDuplicateLines(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		s.fails(s.do(reserve(line("cup", 1), line("mug", 3), line("mug", 3))), short(1, "mug", 6, 5))
		r := s.reserved(line("mug", 2), line("cup", 1), line("mug", 3))
		require.Len(t, r.Lines, 2, "one line a product")
		require.Equal(t, "mug", r.Lines[0].ProductID, "in the order asked")
		require.Equal(t, 5, r.Lines[0].Quantity)
	})
}

// Locations supply in the order of their priority. Inactive ones supply nothing.
func TestReserveTakesLocationsByPriority(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "far", 100, "south", 4, "north", 3)
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2}}, allocations(t, s.reserved(line("mug", 2))))
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 1}, {LocationID: "south", Quantity: 2}},
			allocations(t, s.reserved(line("mug", 3))))
		s.fails(s.do(reserve(line("mug", 3))), short(0, "mug", 3, 2))
		s.exec("UPDATE locations SET active = (location_id = 'far'), priority = 0")
		require.Equal(t, []models.Allocation{{LocationID: "far", Quantity: 3}}, allocations(t, s.reserved(line("mug", 3))))
	})
}

// A line that names a location is supplied from there or not at all.
func TestReserveFromOneLocation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3, "south", 4, "far", 9)
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 3}}, allocations(t, s.reserved(pinned("mug", 3, "south"))))
		s.fails(s.do(reserve(pinned("mug", 2, "south"))), short(0, "mug", 2, 1))
		s.fails(s.do(reserve(pinned("mug", 1, "far"))), short(0, "mug", 1, 0))
		s.fails(s.do(reserve(line("mug", 1), pinned("mug", 1, "moon"))), notFound("lines", 1, "locationId"))
		// Lines that name a location are supplied first.
		r := s.reserved(line("mug", 1), pinned("mug", 3, "north"))
		require.ElementsMatch(t, []models.Allocation{{LocationID: "north", Quantity: 3}, {LocationID: "south", Quantity: 1}}, allocations(t, r))
	})
}

// A channel sells only from its own locations.
func TestReserveFromAChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 3, "south", 4, "far", 9)
		in := func(channel string, lines ...models.RequestedLine) models.WriteResult {
			w := reserve(lines...)
			w.Channel = channel
			return s.do(w)
		}
		r := in("web", line("mug", 3))
		require.Empty(t, r.Errors)
		require.Equal(t, "web", r.Reservation.Channel)
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 3}}, allocations(t, r.Reservation))
		s.fails(in("web", line("mug", 2)), short(0, "mug", 2, 1))
		s.fails(in("web", pinned("mug", 1, "north")), short(0, "mug", 1, 0))
		s.fails(in("none", line("mug", 1)), short(0, "mug", 1, 0))
		s.fails(in("all", line("mug", 5)), short(0, "mug", 5, 4))
		s.fails(in("moon", line("mug", 1)), notFound("channel"))
	})
}

// All errors of a cart are returned at once, each with its path.
func TestReserveRefusesWhatIsUnknownOrTooMuch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 50)
		s.stock("cup", "north", 1)
		s.settings("mug", "max_per_reservation = 4")
		s.fails(s.do(reserve(line("ghost", 1), line("mug", 3), line("cup", 2), line("mug", 2))),
			notFound("lines", 0, "productId"),
			models.QuantityLimitExceededError{Failure: path("lines", 1, "quantity"), ProductID: "mug", Requested: 5, Limit: 4},
			short(2, "cup", 2, 1))
		s.reserved(line("mug", 4))
		partial := reserve(line("ghost", 1), line("mug", 1))
		partial.AllowPartial = true
		r := s.do(partial)
		require.Nil(t, r.Reservation, "partial covers shortages, not unknown products")
		s.fails(r, notFound("lines", 0, "productId"))
		// Lines within their bounds may add up to more than the bound of a level.
		s.fails(s.do(reserve(line("cup", models.QuantityMax), line("cup", models.QuantityMax))), models.QuantityLimitExceededError{
			Failure: path("lines", 0, "quantity"), ProductID: "cup", Requested: 2 * models.QuantityMax, Limit: models.QuantityMax})
	})
}

// An untracked product never runs out. Its reservations change no level.
func TestReserveUntracked(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("card")
		s.settings("card", "tracked = false, max_per_reservation = 1000")
		r := s.reserved(line("card", 1000))
		require.Equal(t, 1000, r.Lines[0].Quantity)
		require.Empty(t, r.Lines[0].Allocations)
		require.Empty(t, s.levels())
		require.Len(t, s.do(reserve(line("card", 1001))).Errors, 1)
		require.Equal(t, models.ReservationReleased, s.ok(release(r.ID)).Reservation.State)
	})
}

// With allowPartial a reservation takes what there is and returns the shortages. With
// nothing to take there is no reservation.
func TestReservePartially(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 1)
		s.stock("cup", "north", 5)
		s.stock("pen", "north", 0)
		w := reserve(line("mug", 9), line("cup", 5), line("pen", 1))
		w.AllowPartial = true
		r := s.do(w)
		s.fails(r, short(0, "mug", 9, 3), short(2, "pen", 1, 0))
		require.NotNil(t, r.Reservation)
		require.Equal(t, []int{3, 5, 0}, quantities(r.Reservation))
		require.Equal(t, 9, r.Reservation.Lines[0].Requested)

		w = reserve(line("mug", 1), line("pen", 1))
		w.AllowPartial = true
		r = s.do(w)
		require.Nil(t, r.Reservation)
		s.fails(r, short(0, "mug", 1, 0), short(1, "pen", 1, 0))
		require.Equal(t, int64(1), s.number("SELECT count(*) FROM reservations"))
	})
}

func quantities(r *models.Reservation) []int {
	var list []int
	for _, l := range r.Lines {
		list = append(list, l.Quantity)
	}
	return list
}

// A cart of many lines is reserved in one write.
func TestReserveManyLines(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		lines := 300
		if race {
			lines = 30
		}
		var cart []models.RequestedLine
		set := models.SetStock{Reason: models.ReasonImport}
		for i := range lines {
			id := "item " + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + newKey()
			s.exec("INSERT INTO products (product_id) VALUES ($1)", id)
			set.Rows = append(set.Rows, models.SetRow{ProductID: id, LocationID: "north", State: models.Available, Quantity: 2})
			cart = append(cart, line(id, 2))
		}
		s.ok(set)
		r := s.reserved(cart...)
		require.Len(t, r.Lines, lines)
		again := s.do(reserve(cart...))
		require.Len(t, again.Errors, lines)
	})
}

// Ids are opaque: spaces, quotes, other scripts, case, and characters with a meaning in
// SQL, JSON or Redis.
func TestReserveStrangeIDs(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for _, id := range strangeIDs {
			s.stock(id, "north", 2)
		}
		for i, id := range strangeIDs {
			s.reserved(line(id, 1+i%2))
			require.Equal(t, models.Quantities{Available: 1 - i%2, Reserved: 1 + i%2}, s.level(id, "north"), id)
		}
		reading, err := s.ReadStocks(context.Background(), append([]string{"ghost"}, strangeIDs...))
		require.NoError(t, err)
		require.Len(t, reading.Stocks, len(strangeIDs), "unknown products are left out")
		require.Equal(t, s.Epoch(), reading.Epoch)
	})
}

var strangeIDs = []string{
	"mug", "Mug", "MUG", " mug", "mug ", "a b", "täßé", "茶碗", "🫖", `quote"d`, "apo'strophe", "sla/sh", `back\slash`, "co:lon",
	"{brace}", "per%cent", "under_score", "question?", "dollar$1", "semi;colon", "--", "null", "NULL", "0", "1e3", "<tag>", "a,b",
	strings.Repeat("長", 255), "\u00a0", "é", "e\u0301",
}
