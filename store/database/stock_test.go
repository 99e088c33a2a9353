package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

func counted(rows ...models.SetRow) models.SetStock {
	return models.SetStock{Rows: rows, Reason: models.ReasonCycleCount, Reference: "count 7", Actor: "ann"}
}

func row(product, location string, state models.State, n int) models.SetRow {
	return models.SetRow{ProductID: product, LocationID: location, State: state, Quantity: n}
}

var states = []models.State{
	models.Available, models.Reserved, models.Committed, models.Damaged, models.QualityControl, models.SafetyStock, models.Incoming,
}

// Deltas add up in every state, on existing and new levels. The answer has the committed
// stock.
func TestAdjust(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.tampered = true
		s.stock("mug", "north", 10)
		var rows []models.AdjustRow
		for i, state := range states {
			rows = append(rows, delta("mug", "south", state, i+1), delta("mug", "north", state, 10*(i+1)))
		}
		before := s.read("mug").Version
		r := s.ok(adjust(append(rows, delta("mug", "north", models.Available, -5))...))
		require.Equal(t, models.Quantities{Available: 15, Reserved: 20, Committed: 30, Damaged: 40, QualityControl: 50, SafetyStock: 60, Incoming: 70}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 1, Reserved: 2, Committed: 3, Damaged: 4, QualityControl: 5, SafetyStock: 6, Incoming: 7}, s.level("mug", "south"))
		require.Len(t, r.Stocks, 1)
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]))
		require.Greater(t, r.Stocks[0].Version, before)
		require.Equal(t, "north", r.Stocks[0].Levels[0].LocationID, "in sourcing order")
	})
}

// No state goes below zero, available not below the floor, and none above the bound of a
// level.
func TestAdjustBounds(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		levels := s.levels()
		for _, state := range states {
			have := 0
			if state == models.Available {
				have = 10
			}
			s.fails(s.do(adjust(delta("mug", "north", state, -11))), models.InsufficientStockError{
				Failure: path("rows", 0, "delta"), ProductID: "mug", Requested: 11, Available: have})
			s.fails(s.do(adjust(delta("mug", "north", state, 1), delta("mug", "north", state, models.QuantityMax-have))),
				models.QuantityLimitExceededError{
					Failure: path("rows", 1, "delta"), ProductID: "mug", Requested: models.QuantityMax + 1, Limit: models.QuantityMax})
		}
		require.Equal(t, levels, s.levels())
		s.ok(adjust(delta("mug", "north", models.Available, models.QuantityMax-10)))
		s.ok(adjust(delta("mug", "north", models.Available, -models.QuantityMax)))
	})
}

// A reservation that would exceed the bound of reserved units of a level is refused
// alone.
func TestReserveBeyondTheBoundOfALevel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", models.QuantityMax)
		s.stock("cup", "north", 1)
		s.reserved(line("mug", models.QuantityMax))
		s.ok(adjust(delta("mug", "north", models.Available, 5)))
		r := s.batch(reserve(line("mug", 1)), reserve(line("cup", 1)))
		s.fails(r[0], models.QuantityLimitExceededError{
			Failure: path("lines", 0, "quantity"), ProductID: "mug", Requested: models.QuantityMax + 1, Limit: models.QuantityMax})
		require.Empty(t, r[1].Errors)
	})
}

// One bad row rejects all rows, or only itself, as the policy says.
func TestAdjustErrorPolicy(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		rows := []models.AdjustRow{
			delta("mug", "north", models.Available, 1),
			delta("ghost", "north", models.Available, 1),
			delta("mug", "moon", models.Available, 1),
			delta("cup", "north", models.Available, -6),
			delta("cup", "north", models.Available, -5),
			delta("cup", "north", "LOST", 1),
		}
		want := []models.UserError{
			notFound("rows", 1, "productId"), notFound("rows", 2, "locationId"),
			models.InsufficientStockError{Failure: path("rows", 3, "delta"), ProductID: "cup", Requested: 6, Available: 5},
			models.InvalidInputError{Failure: path("rows", 5, "state")},
		}
		for _, policy := range []models.ErrorPolicy{models.RejectEverything, ""} {
			all := adjust(rows...)
			all.ErrorPolicy = policy
			before := s.levels()
			r := s.do(all)
			s.fails(r, want...)
			require.Empty(t, r.Stocks)
			require.Equal(t, before, s.levels())
		}
		some := adjust(rows...)
		some.ErrorPolicy = models.RejectFailedRows
		r := s.do(some)
		s.fails(r, want...)
		require.Len(t, r.Stocks, 2)
		require.Equal(t, 6, s.level("mug", "north").Available)
		require.Equal(t, 0, s.level("cup", "north").Available)
	})
}

// A count sets the level. A count that changes nothing writes no movement.
func TestSetStock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.reserved(line("mug", 2))
		r := s.ok(counted(row("mug", "north", models.Available, 9), row("mug", "south", models.Damaged, 2)))
		require.Equal(t, models.Quantities{Available: 9, Reserved: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Damaged: 2}, s.level("mug", "south"))
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]))
		ledger := s.movements("mug")
		for _, m := range ledger[len(ledger)-2:] {
			require.Equal(t, models.ReasonCycleCount, m.Reason)
			require.Equal(t, []string{"count 7", "ann", ""}, []string{m.Reference, m.Actor, m.ReservationID})
			require.Equal(t, r.Stocks[0].Version, m.Version)
		}
		r = s.ok(counted(row("mug", "north", models.Available, 9)))
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]), "the answer is whole though nothing changed")
		require.Equal(t, ledger, s.movements("mug"))
		require.Equal(t, ledger[len(ledger)-1].Version, s.read("mug").Version)
	})
}

// A count of zero makes a level, which a backorder can use, without a movement.
func TestSetStockToZero(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug")
		r := s.ok(counted(row("mug", "south", models.Available, 0)))
		require.Len(t, r.Stocks[0].Levels, 1)
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]))
		require.Empty(t, s.movements("mug"))
		s.ok(counted(row("mug", "south", models.Available, 0)))
	})
}

// A count with a bad row changes nothing.
func TestSetStockRefused(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		r := s.do(counted(
			row("mug", "north", models.Available, 7), row("mug", "north", models.Available, -1), row("ghost", "north", models.Available, 1),
			row("mug", "moon", models.Available, 1), row("mug", "north", models.Incoming, -1), row("mug", "north", "LOST", 1),
		))
		s.fails(r, models.InvalidInputError{Failure: path("rows", 1, "quantity")}, notFound("rows", 2, "productId"),
			notFound("rows", 3, "locationId"), models.InvalidInputError{Failure: path("rows", 4, "quantity")},
			models.InvalidInputError{Failure: path("rows", 5, "state")})
		require.Empty(t, r.Stocks)
		require.Equal(t, 5, s.level("mug", "north").Available)
		s.ok(counted(row("mug", "north", models.Available, 7), row("mug", "north", models.Available, 8)))
		require.Equal(t, 8, s.level("mug", "north").Available, "the last count of a level counts")
	})
}

// A count of available units expires overdue reservations first: they release nothing on
// top of it. A changeFromQuantity from before their release is stale.
func TestCountEndsExpiredReservations(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		set := func(row models.SetRow) models.SetStock {
			row.ProductID, row.LocationID, row.State = "mug", "north", models.Available
			return models.SetStock{IdempotencyKey: newKey(), Rows: []models.SetRow{row}, Reason: models.ReasonCycleCount}
		}
		s.stock("mug", "north", 10)
		s.overdue(s.reserved(line("mug", 2)).ID)
		s.ok(set(models.SetRow{Quantity: 7, IgnoreStale: true}))
		require.Empty(t, s.sweep(10), "the reservation expired before the count")
		require.Equal(t, models.Quantities{Available: 7}, s.level("mug", "north"))

		s.overdue(s.reserved(line("mug", 2)).ID)
		r := s.do(set(models.SetRow{Quantity: 9, ChangeFromQuantity: new(5)}))
		require.Len(t, r.Errors, 1)
		require.Equal(t, 7, r.Errors[0].(models.StaleQuantityError).Actual)
		s.ok(set(models.SetRow{Quantity: 9, ChangeFromQuantity: new(7)}))
		require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "north"))
	})
}
