package database_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// With backorders a product sells down to its limit and no lower.
func TestBackorderDownToTheFloor(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		s.fails(s.do(reserve(line("mug", 8))), short(0, "mug", 8, 7))
		s.reserved(line("mug", 4))
		require.Equal(t, models.Quantities{Available: -2, Reserved: 4}, s.level("mug", "north"))
		s.reserved(line("mug", 3))
		require.Equal(t, models.Quantities{Available: -5, Reserved: 7}, s.level("mug", "north"))
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		require.Equal(t, models.OutOfStock, s.read("mug").Status())
	})
}

// The limit applies to the product, not to each location. A reservation takes what is
// available; the first location owes the rest.
func TestBackorderOverSeveralLocations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 3, "far", 50)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		s.fails(s.do(reserve(line("mug", 11))), short(0, "mug", 11, 10))
		r := s.reserved(line("mug", 7))
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 4}, {LocationID: "south", Quantity: 3}}, allocations(t, r))
		require.Equal(t, -2, s.level("mug", "north").Available)
		s.fails(s.do(reserve(pinned("mug", 4, "south"))), short(0, "mug", 4, 3))
		s.reserved(pinned("mug", 3, "south"))
		require.Equal(t, -3, s.level("mug", "south").Available)
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		web := reserve(line("mug", 1))
		web.Channel = "web"
		s.fails(s.do(web), short(0, "mug", 1, 0))
		// Arriving units are owed already.
		s.ok(adjust(delta("mug", "south", models.Available, 2)))
		s.reserved(line("mug", 2))
	})
}

// Without a limit a backorder ends at the bound of quantities.
func TestBackorderWithoutLimit(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 1)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = NULL")
		r := s.reserved(line("mug", models.QuantityMax))
		require.Equal(t, models.Quantities{Available: 1 - models.QuantityMax, Reserved: models.QuantityMax}, s.level("mug", "north"))
		s.ok(release(r.ID))
		require.Equal(t, models.Quantities{Available: 1}, s.level("mug", "north"))
	})
}

// preorder adds a product without a level that may be owed.
func (s *shop) preorder(product string, limit int) {
	s.t.Helper()
	s.ok(products(models.ProductRow{ProductID: product, InventoryPolicy: new(models.Continue), BackorderLimit: given(limit)}))
}

// A product without a level is sold on backorder from the first active location. The
// reservation makes the level.
func TestPreorder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.preorder("mug", 5)
		require.Equal(t, models.Backorder, s.read("mug").Status())
		require.Zero(t, s.read("mug").Quantity())
		version := s.read("mug").Version
		s.fails(s.do(reserve(line("mug", 6))), short(0, "mug", 6, 5))
		require.Empty(t, s.read("mug").Levels, "a refusal makes no level")

		r := s.reserved(line("mug", 2))
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 2}}, allocations(t, r))
		require.Equal(t, models.Quantities{Available: -2, Reserved: 2}, s.level("mug", "north"))
		require.Greater(t, s.read("mug").Version, version)
		require.Equal(t, models.Backorder, s.read("mug").Status())
		moved := s.movements("mug")
		require.Len(t, moved, 1)
		require.Equal(t, models.ReasonReserved, moved[0].Reason)
		require.Equal(t, r.ID, moved[0].ReservationID)

		s.reserved(line("mug", 3))
		require.Equal(t, models.OutOfStock, s.read("mug").Status())
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		s.ok(release(r.ID))
		require.Equal(t, models.Quantities{Available: -3, Reserved: 3}, s.level("mug", "north"))
	})
}

// A channel sells from its own first active location, also where others have a level
// already. The limit is that of the product.
func TestPreorderInAChannel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.preorder("mug", 5)
		s.ok(channels(models.ChannelRow{ChannelID: "far", LocationIDs: []string{"far"}}))
		in := func(channel string, lines ...models.RequestedLine) models.WriteResult {
			w := reserve(lines...)
			w.Channel = channel
			return s.do(w)
		}
		for channel, message := range map[string]string{
			"far": `"mug" cannot be had: no location of the channel "far" is open`, "none": `"mug" cannot be had: no location of the channel "none" is open`,
		} {
			r := in(channel, line("mug", 1))
			s.fails(r, short(0, "mug", 1, 0))
			require.Equal(t, message, r.Errors[0].GetMessage())
		}
		require.Empty(t, s.read("mug").Levels)
		require.Equal(t, "south", allocations(t, in("web", line("mug", 1)).Reservation)[0].LocationID)
		require.Equal(t, "south", allocations(t, s.reserved(line("mug", 1)))[0].LocationID, "where it has a level by now")
		s.ok(channels(models.ChannelRow{ChannelID: "north", LocationIDs: []string{"far", "north"}}))
		require.Equal(t, models.Backorder, s.read("mug").In(&models.ChannelMembers{Members: map[string]bool{"north": true, "far": true}}).Status())
		require.Equal(t, "north", allocations(t, in("north", line("mug", 2)).Reservation)[0].LocationID)
		require.Equal(t, models.Quantities{Available: -2, Reserved: 2}, s.level("mug", "south"))
		r := in("north", line("mug", 2))
		s.fails(r, short(0, "mug", 2, 1))
		require.Contains(t, r.Errors[0].GetMessage(), "its backorder limit of 5 is reached")
	})
}

// A line that names a location makes the level there. Lines of one product share the
// limit.
func TestPreorderAtNamedLocations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.preorder("mug", 3)
		s.fails(s.do(reserve(pinned("mug", 1, "far"))), short(0, "mug", 1, 0))
		s.fails(s.do(reserve(pinned("mug", 2, "south"), pinned("mug", 2, "north"))), short(0, "mug", 4, 3))
		s.fails(s.do(reserve(pinned("mug", 3, "south"), line("mug", 1))), short(0, "mug", 4, 3))
		require.Empty(t, s.read("mug").Levels)
		r := s.reserved(pinned("mug", 1, "south"), line("mug", 1), pinned("mug", 1, "north"))
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 1}, {LocationID: "north", Quantity: 2}}, allocations(t, r))
		require.Equal(t, -2, s.level("mug", "north").Available)
		require.Equal(t, -1, s.level("mug", "south").Available)
	})
}

// Where backorders are not allowed, or the only location is closed, no level is made.
func TestNoPreorder(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("deny")
		s.preorder("zero", 0)
		s.preorder("mug", 5)
		s.stock("closed", "far", 0)
		s.settings("closed", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		for _, product := range []string{"deny", "zero", "closed"} {
			require.Equal(t, models.OutOfStock, s.read(product).Status(), product)
			s.fails(s.do(reserve(line(product, 1))), short(0, product, 1, 0))
		}
		require.Equal(t, models.Backorder, s.read("mug").Status())
		s.exec("UPDATE locations SET active = $1", false)
		r := s.do(reserve(line("mug", 1)))
		s.fails(r, short(0, "mug", 1, 0))
		require.Equal(t, `"mug" cannot be had: no location is open`, r.Errors[0].GetMessage())
		directory, err := s.Directory(t.Context())
		require.NoError(t, err)
		require.Equal(t, models.OutOfStock, directory.Placed(s.read("mug"), "").Status())
		require.Empty(t, s.read("mug").Levels)
	})
}

// Buyers who come at once make one level.
func TestPreorderByManyAtOnce(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.preorder("mug", 10)
		others := []*database.Database{s.Database}
		if s.kind == postgres {
			others = append(others, s.otherInstance(t))
		}
		var buyers sync.WaitGroup
		var sold atomic.Int64
		for i := range 16 {
			buyers.Go(func() {
				w := reserve(line("mug", 1))
				out, err := others[i%len(others)].WriteUnderLock(context.Background(), []models.Write{w})
				if assert.NoError(t, err) && out.Results[0].Reservation != nil {
					sold.Add(1)
				}
			})
		}
		buyers.Wait()
		require.Equal(t, int64(10), sold.Load())
		require.Equal(t, models.Quantities{Available: -10, Reserved: 10}, s.level("mug", "north"))
		require.Len(t, s.read("mug").Levels, 1)
	})
}

// An optimistic batch makes no level, and sells from one that was made since.
func TestOptimisticPreorder(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.preorder("mug", 9)
		require.NoError(t, s.Fetch(t.Context(), []string{"mug"}))
		s.notOptimistic(reserve(line("mug", 1)))
		s.notOptimistic(reserve(pinned("mug", 1, "north")))
		s.reserved(line("mug", 1))
		b := s.optimistic(reserve(line("mug", 2)))
		_, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, models.Quantities{Available: -3, Reserved: 3}, s.level("mug", "north"))
	})
}

// When backorders are no longer allowed, owed units stay owed, and only fewer can be
// owed.
func TestBackorderEnds(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 0)
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		r := s.reserved(line("mug", 4))
		s.settings("mug", "inventory_policy = 'DENY'")
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		s.ok(adjust(delta("mug", "north", models.Available, 1)))
		require.Equal(t, -3, s.level("mug", "north").Available)
		s.ok(resolve(r.ID, models.ReservationCommitted))
		s.ok(resolve(r.ID, models.ReservationFulfilled))
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		s.ok(adjust(delta("mug", "north", models.Available, 4)))
		s.reserved(line("mug", 1))
	})
}

// An adjustment may make a backorder, also where there was no level, down to the same
// floor.
func TestBackorderByHand(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug")
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		s.ok(adjust(delta("mug", "north", models.Available, -5)))
		require.Equal(t, -5, s.level("mug", "north").Available)
		s.fails(s.do(adjust(delta("mug", "north", models.Available, -1))), models.InsufficientStockError{
			Failure: path("rows", 0, "delta"), ProductID: "mug", Requested: 1, Available: 0})
		s.ok(models.SetStock{Rows: []models.SetRow{{ProductID: "mug", LocationID: "south", State: models.Available, Quantity: -2}}})
		require.Equal(t, -2, s.level("mug", "south").Available)
	})
}

// An optimistic batch decided with a backorder limit that was removed since is refused,
// by either check. The table's constraint may refuse it first.
func TestOptimisticBatchBelowANewFloor(t *testing.T) {
	for name, conditional := range map[string]bool{"compare-and-set": false, "conditional decrement": true} {
		t.Run(name, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				s.stock("mug", "north", 2)
				s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
				s = s.with(t)
				s.Database = s.otherInstance(t) // it has met no contention yet
				s.reserved(line("mug", 1))      // caches the product with its limit
				if conditional {
					s.LongContention()
					s.ExpectContention("mug")
				}
				b := s.optimistic(reserve(line("mug", 4)))
				require.Equal(t, conditional, b.Conditional)
				s.settings("mug", "inventory_policy = 'DENY'")
				s.commitRefused(b)
			})
		})
	}
}
