package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// from makes a counted row that is refused when another quantity is there.
func from(row models.SetRow, expected int) models.SetRow {
	row.ChangeFromQuantity = &expected
	return row
}

func moveRow(product string, n int, from string, fromState models.State, to string, toState models.State) models.MoveRow {
	return models.MoveRow{
		ProductID: product, Quantity: n,
		From: models.StockPlace{LocationID: from, State: fromState}, To: models.StockPlace{LocationID: to, State: toState},
	}
}

func moveStock(rows ...models.MoveRow) models.MoveStock {
	return models.MoveStock{IdempotencyKey: newKey(), Rows: rows, Reason: models.ReasonReceived, Note: "pallet 9", Reference: "delivery 1", Actor: "ann"}
}

// Units change their state, their location, or both. Each row sees the effects of those
// before it. A missing level is made.
func TestMoveStock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 1)
		s.ok(adjust(delta("mug", "north", models.Incoming, 10)))
		before := len(s.movements("mug"))
		r := s.ok(moveStock(
			moveRow("mug", 8, "north", models.Incoming, "south", models.QualityControl), // both at once
			moveRow("mug", 7, "south", models.QualityControl, "south", models.Available),
			moveRow("mug", 7, "south", models.Available, "north", models.Available),
			moveRow("cup", 1, "north", models.Available, "north", models.Damaged),
		))
		require.Equal(t, models.Quantities{Available: 12, Incoming: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{QualityControl: 1}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{Damaged: 1}, s.level("cup", "north"))
		require.Len(t, r.Stocks, 2)
		require.Equal(t, s.read("mug"), timeless(r.Stocks[1]))
		ledger := s.movements("mug")[before:]
		require.Len(t, ledger, 2, "one row a level")
		for _, m := range ledger {
			require.Equal(t, models.ReasonReceived, m.Reason)
			require.Equal(t, []string{"pallet 9", "delivery 1", "ann", ""}, []string{m.Note, m.Reference, m.Actor, m.ReservationID})
			require.Equal(t, r.Stocks[1].Version, m.Version)
		}
	})
}

// Units that are not there cannot be moved, not even with a backorder. No level exceeds
// its bound. A refused move changes nothing.
func TestMoveStockRefused(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5, "south", 3)
		s.stock("owed", "north", 2)
		s.settings("owed", "inventory_policy = 'CONTINUE'")
		s.reserved(line("owed", 4))
		s.ok(adjust(delta("mug", "far", models.Available, models.QuantityMax)))
		rows := []models.MoveRow{
			moveRow("mug", 6, "north", models.Available, "south", models.Available),
			moveRow("mug", 1, "north", models.Damaged, "north", models.Available),
			moveRow("owed", 1, "north", models.Available, "south", models.Available),
			moveRow("mug", 1, "north", models.Available, "far", models.Available),
			moveRow("ghost", 1, "north", models.Available, "south", models.Available),
			moveRow("mug", 1, "moon", models.Available, "south", models.Available),
			moveRow("mug", 1, "north", models.Available, "moon", models.Available),
			moveRow("mug", 1, "north", "LOST", "south", models.Available),
			moveRow("mug", 1, "north", models.Available, "south", "LOST"),
			moveRow("mug", 5, "north", models.Available, "south", models.Available),
		}
		want := []models.UserError{
			tooFew(0, "quantity", "mug", 6, 5), tooFew(1, "quantity", "mug", 1, 0), tooFew(2, "quantity", "owed", 1, 0),
			models.QuantityLimitExceededError{Failure: path("rows", 3, "quantity"), ProductID: "mug", Requested: models.QuantityMax + 1, Limit: models.QuantityMax},
			notFound("rows", 4, "productId"), notFound("rows", 5, "from", "locationId"), notFound("rows", 6, "to", "locationId"),
			models.InvalidInputError{Failure: path("rows", 7, "from", "state")}, models.InvalidInputError{Failure: path("rows", 8, "to", "state")},
		}
		before := s.levels()
		w := moveStock(rows...)
		r := s.do(w)
		s.fails(r, want...)
		require.Empty(t, r.Stocks)
		require.Equal(t, before, s.levels())
		again := s.do(w)
		require.False(t, again.Replayed, "nothing was moved")
		require.Equal(t, r.Errors, again.Errors)

		w = moveStock(rows...)
		w.ErrorPolicy = models.RejectFailedRows
		s.fails(s.do(w), want...)
		require.Equal(t, 8, s.level("mug", "south").Available)
	})
}

func tooFew(row int, field, product string, requested, available int) models.UserError {
	return models.InsufficientStockError{Failure: path("rows", row, field), ProductID: product, Requested: requested, Available: available}
}

// A count with a wrong changeFromQuantity is refused with the actual quantity and the
// version. A count with the right one is taken.
func TestSetStockComparesAndSets(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.ok(adjust(delta("mug", "north", models.Damaged, 2)))
		version := s.read("mug").Version
		w := counted(from(row("mug", "north", models.Available, 9), 4), from(row("mug", "north", models.Damaged, 0), 2),
			from(row("mug", "south", models.Available, 1), 0), from(row("mug", "far", models.Incoming, 1), 3))
		w.IdempotencyKey = newKey()
		stale := []models.UserError{
			models.StaleQuantityError{Failure: path("rows", 0, "changeFromQuantity"), Expected: 4, Actual: 5, Version: version},
			models.StaleQuantityError{Failure: path("rows", 3, "changeFromQuantity"), Expected: 3, Actual: 0, Version: version},
		}
		before := s.levels()
		first := s.do(w)
		s.fails(first, stale...)
		require.Equal(t, before, s.levels())
		require.Equal(t, first.Errors, s.do(w).Errors, "the first answer again")

		w.IdempotencyKey, w.ErrorPolicy = newKey(), models.RejectFailedRows
		s.fails(s.do(w), stale...)
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 1}, s.level("mug", "south"))

		// Of two counts with the same changeFromQuantity, the first is taken.
		two := s.batch(counted(from(row("mug", "north", models.Available, 8), 5)), counted(from(row("mug", "north", models.Available, 7), 5)))
		require.Empty(t, two[0].Errors)
		s.fails(two[1], models.StaleQuantityError{
			Failure: path("rows", 0, "changeFromQuantity"), Expected: 5, Actual: 8, Version: two[0].Stocks[0].Version})
		require.Equal(t, 8, s.level("mug", "north").Available)
	})
}

// Stock writes count the units of an expired reservation as available. A count whose
// changeFromQuantity does not include them is refused, because it would lose them.
func TestStockWritesAfterAReservationExpired(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.overdue(s.reserved(line("mug", 3)).ID)
		s.ok(counted(from(row("mug", "north", models.Available, 10), 5)))
		require.Empty(t, s.sweep(10), "the count expired it")
		require.Equal(t, models.Quantities{Available: 10}, s.level("mug", "north"))
		s.overdue(s.reserved(line("mug", 3)).ID)
		late := s.do(counted(from(row("mug", "north", models.Available, 7), 7)))
		s.fails(late, models.StaleQuantityError{Failure: path("rows", 0, "changeFromQuantity"), Expected: 7, Actual: 10,
			Version: s.read("mug").Version})
		s.stock("cup", "north", 5)
		s.overdue(s.reserved(line("cup", 3)).ID)
		s.ok(moveStock(moveRow("cup", 5, "north", models.Available, "south", models.Available)))
		require.Equal(t, models.Quantities{Available: 5}, s.level("cup", "south"))
	})
}

// With REJECT_FAILED_ROWS, invalid rows are reported with the other errors, and never
// reach the database.
func TestBadRowsBesideGoodOnes(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		set := counted(from(row("mug", "north", models.Available, 6), 5), row("a\x00b", "north", models.Available, 1),
			from(row("mug", "north", models.Available, 7), 5), row("mug", "\xff", models.Reserved, 1))
		set.IdempotencyKey, set.ErrorPolicy = newKey(), models.RejectFailedRows
		require.Empty(t, set.Check(time.Hour))
		invalid := func(parts ...any) models.UserError { return models.InvalidInputError{Failure: path(parts...)} }
		s.fails(s.do(set), invalid("rows", 1, "productId"), invalid("rows", 1, "changeFromQuantity"), invalid("rows", 2),
			invalid("rows", 3, "locationId"), invalid("rows", 3, "state"), invalid("rows", 3, "changeFromQuantity"))
		require.Equal(t, 6, s.level("mug", "north").Available)
		require.True(t, s.do(set).Replayed)

		move := moveStock(moveRow("mug", 2, "north", models.Available, "south", models.Available),
			moveRow("mug", 0, "north", models.Available, "north", models.Available), moveRow("", 1, "a\x00", models.Committed, "south", models.Available))
		move.ErrorPolicy = models.RejectFailedRows
		s.fails(s.do(move), invalid("rows", 1, "quantity"), invalid("rows", 1, "to"), invalid("rows", 2, "productId"),
			invalid("rows", 2, "from", "locationId"), invalid("rows", 2, "from", "state"))
		require.Equal(t, 2, s.level("mug", "south").Available)

		move.ErrorPolicy = models.RejectEverything
		require.Len(t, move.Check(time.Hour), 5, "all at once")
	})
}
