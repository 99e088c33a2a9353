package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
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

// A product without a level cannot be backordered.
func TestBackorderNeedsALevel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug")
		s.settings("mug", "inventory_policy = 'CONTINUE', backorder_limit = 5")
		s.fails(s.do(reserve(line("mug", 1))), short(0, "mug", 1, 0))
		s.ok(adjust(delta("mug", "north", models.Incoming, 1)))
		s.reserved(line("mug", 1))
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
