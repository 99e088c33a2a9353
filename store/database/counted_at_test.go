package database_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database/decide/counting"
)

// countedAt is a row that was counted at a moment.
func countedAt(at time.Time, row models.SetRow) models.SetRow {
	row.CountedAt = &at
	return row
}

// now returns the database's clock.
func (s *shop) now() time.Time {
	s.t.Helper()
	var at int64
	if s.kind == postgres {
		at = s.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
	} else {
		at = s.number("SELECT cast(unixepoch('subsec') * 1000000 AS INTEGER)")
	}
	return time.UnixMicro(at).UTC()
}

// moment returns a moment after all writes so far, and before all others. Moments are
// milliseconds.
func (s *shop) moment() time.Time {
	s.t.Helper()
	wait := func(after time.Time) time.Time {
		for {
			if now := s.now().Truncate(time.Millisecond); now.After(after) {
				return now
			}
		}
	}
	at := wait(s.now().Truncate(time.Millisecond))
	wait(at)
	return at
}

// superseded requires that one row is refused, because a count at or after least was
// written before.
func (s *shop) superseded(r models.WriteResult, row int, least time.Time) {
	s.t.Helper()
	require.Len(s.t, r.Errors, 1)
	refused, ok := r.Errors[0].(models.SupersededCountError)
	require.True(s.t, ok, "%#v", r.Errors[0])
	require.Equal(s.t, models.InputPath("rows", row, "countedAt"), refused.Path)
	require.Contains(s.t, refused.Message, counting.Text(refused.CountedAt))
	require.False(s.t, refused.CountedAt.Before(least), "%v is before %v", refused.CountedAt, least)
	require.Empty(s.t, r.Stocks)
}

// What was sold, received or changed by another program between a count and its writing
// is kept, in the state and level that were counted.
func TestCountIsOfItsTime(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 50)
		s.ok(adjust(delta("mug", "north", models.Available, 7), delta("mug", "north", models.Available, -7)))
		at := s.moment()
		s.reserved(pinned("mug", 3, "north"))
		order := s.reserved(pinned("mug", 1, "north"))
		s.ok(resolve(order.ID, models.ReservationCommitted))
		s.ok(release(s.reserved(pinned("mug", 2, "north")).ID))
		s.ok(adjust(delta("mug", "north", models.Available, 20), delta("mug", "north", models.Damaged, 5), delta("mug", "south", models.Available, 9)))
		s.exec("UPDATE stock_levels SET available = available - 2 WHERE product_id = 'mug' AND location_id = 'north'")
		require.Equal(t, models.Quantities{Available: 24, Reserved: 3, Committed: 1, Damaged: 5}, s.level("mug", "north"))
		r := s.ok(counted(countedAt(at, row("mug", "north", models.Available, 8)), countedAt(at, row("mug", "north", models.Damaged, 1))))
		require.Equal(t, models.Quantities{Available: 22, Reserved: 3, Committed: 1, Damaged: 6}, s.level("mug", "north"), "8 and 1 were counted, 14 and 5 came since")
		require.Equal(t, 59, s.level("mug", "south").Available)
		require.Equal(t, s.read("mug"), timeless(r.Stocks[0]))
		last := s.movements("mug")
		require.Equal(t, models.Quantities{Available: -2, Damaged: 1}, last[len(last)-1].Delta)
		require.Equal(t, models.ReasonCycleCount, last[len(last)-1].Reason)
	})
}

// The movements of ledger chunks count too.
func TestCountBeforeChunks(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2000, "south", 100)
		s.reserveUnits("mug", 300)
		at := s.moment()
		s.reserveUnits("mug", 300)
		s.reserveUnits("mug", 2)
		require.Greater(t, s.number("SELECT count(*) FROM ledger_chunks"), int64(2))
		s.ok(counted(countedAt(at, row("mug", "north", models.Available, 1690)), countedAt(at, row("mug", "south", models.Available, 90))))
		require.Equal(t, models.Quantities{Available: 1388, Reserved: 602}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 90}, s.level("mug", "south"))
	})
}

// A count loses to a newer one of the same level and state, also to a quantity that was
// set without a moment. The same moment is no loss, nor another state or location.
func TestNewerCountWins(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10, "south", 10)
		early := s.moment()
		s.ok(adjust(delta("mug", "north", models.Available, -1)))
		late := s.moment()
		s.ok(counted(countedAt(late, row("mug", "north", models.Available, 5))))
		w := counted(countedAt(early, row("mug", "north", models.Available, 8)), countedAt(early, row("mug", "south", models.Available, 9)))
		w.IdempotencyKey = newKey()
		s.superseded(s.do(w), 0, late)
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))

		w.ErrorPolicy = models.RejectFailedRows
		first := s.do(w)
		require.Len(t, first.Errors, 1)
		require.Len(t, first.Stocks, 1)
		again := s.do(w)
		require.True(t, again.Replayed)
		require.Equal(t, first.Errors, again.Errors, "the error is stored with its moment")
		require.Equal(t, models.Quantities{Available: 9}, s.level("mug", "south"))

		s.ok(counted(countedAt(early, row("mug", "north", models.Damaged, 2))))
		for range 2 {
			s.ok(counted(countedAt(late, row("mug", "north", models.Available, 6))))
			require.Equal(t, models.Quantities{Available: 6, Damaged: 2}, s.level("mug", "north"), "the same count again has the same effect")
		}
		for _, w := range []models.SetStock{
			counted(row("mug", "north", models.Available, 6)), // what is there
			counted(from(row("mug", "north", models.Available, 4), 6)),
		} {
			before := s.moment()
			s.ok(w)
			s.superseded(s.do(counted(countedAt(before, row("mug", "north", models.Available, 30)))), 0, before)
		}
		s.ok(counted(countedAt(s.moment(), row("mug", "north", models.Available, 3))))
		require.Equal(t, models.Quantities{Available: 3, Damaged: 2}, s.level("mug", "north"))
	})
}

// The movement by which a count is written is effective at the count's moment: a count
// that was made in between does not correct the same units again.
func TestCountsBeforeTheFirstIsWritten(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		first := s.moment()
		s.ok(adjust(delta("mug", "north", models.Available, 3)))
		second := s.moment()
		s.ok(adjust(delta("mug", "north", models.Available, 4)))
		third := s.moment()
		s.ok(counted(countedAt(first, row("mug", "north", models.Available, 8))))
		require.Equal(t, 15, s.level("mug", "north").Available, "two are missing")
		s.ok(counted(countedAt(second, row("mug", "north", models.Available, 11))))
		require.Equal(t, 15, s.level("mug", "north").Available, "the same two")
		s.ok(counted(countedAt(third, row("mug", "north", models.Available, 14))))
		require.Equal(t, 14, s.level("mug", "north").Available, "one more")
		s.ok(counted(countedAt(third, row("mug", "north", models.Available, 15))))
		require.Equal(t, 15, s.level("mug", "north").Available, "counted again")
		require.LessOrEqual(t, s.number("SELECT count(*) FROM stock_counts WHERE product_id = 'mug'"), int64(4))
		s.ok(counted(row("mug", "north", models.Available, 15)))
		require.EqualValues(t, 1, s.number("SELECT count(*) FROM stock_counts WHERE product_id = 'mug'"), "what no later count needs is deleted")
	})
}

// A count sees the writes before it in its batch.
func TestCountsOfABatch(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		at := s.moment()
		s.ok(adjust(delta("mug", "north", models.Available, 1)))
		later := s.moment()
		r := s.batch(
			adjust(delta("mug", "north", models.Available, 20)),
			counted(countedAt(at, row("mug", "north", models.Available, 7))), // 3 were missing
			reserve(line("mug", 5)),
			counted(countedAt(at, row("mug", "north", models.Available, 7))),
			counted(countedAt(later, row("mug", "north", models.Available, 9))), // one was there
			counted(countedAt(at, row("mug", "north", models.Available, 1))),
			counted(row("mug", "north", models.Damaged, 1)),
			counted(countedAt(later, row("mug", "north", models.Damaged, 2))),
		)
		for i, result := range r {
			switch i {
			case 5:
				s.superseded(result, 0, later)
			case 7:
				s.superseded(result, 0, later)
			default:
				require.Empty(t, result.Errors, i)
			}
		}
		require.Equal(t, models.Quantities{Available: 24, Reserved: 5, Damaged: 1}, s.level("mug", "north"))
	})
}

// The units of a reservation are available from its expiry on, whenever its end is
// written: by the sweeper before, or by the count itself.
func TestCountAfterAnExpiry(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		for _, swept := range []bool{true, false} {
			product := fmt.Sprintf("mug %v", swept)
			s.stock(product, "north", 10)
			gone, kept := s.reserved(line(product, 2)), s.reserved(line(product, 3))
			s.overdue(gone.ID)
			at := s.moment()
			s.exec("UPDATE reservations SET expires_at = "+s.clock(0)+" WHERE reservation_id = $1", keyOf(kept.ID))
			if swept {
				require.Len(t, s.sweep(10), 2)
			}
			w := counted(from(countedAt(at, row(product, "north", models.Available, 6)), 7))
			s.ok(w)
			require.Equal(t, models.Quantities{Available: 9}, s.level(product, "north"), "6 of 7 were there, and 3 came back since")
		}
	})
}

// A level that did not exist when it was counted begins with what was counted. What came
// since is added to that, and a level that was deleted since has lost its units.
func TestCountOfAMissingLevel(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "south", 4)
		at := s.moment()
		s.ok(counted(countedAt(at, row("mug", "far", models.Available, 2))))
		require.Equal(t, 2, s.level("mug", "far").Available)
		s.ok(adjust(delta("mug", "north", models.Available, 10)))
		s.ok(counted(countedAt(at, row("mug", "north", models.Available, 5))))
		require.Equal(t, 15, s.level("mug", "north").Available)

		s.exec("DELETE FROM stock_levels WHERE product_id = 'mug' AND location_id = 'south'")
		s.fails(s.do(counted(countedAt(at, row("mug", "south", models.Available, 3)))), models.InvalidInputError{Failure: path("rows", 0, "quantity")})
		s.ok(counted(countedAt(at, row("mug", "south", models.Available, 6))))
		require.Equal(t, 2, s.level("mug", "south").Available, "4 were taken away with the level")
		s.exec("DELETE FROM stock_levels WHERE product_id = 'mug' AND location_id = 'south'")
		s.ok(adjust(delta("mug", "south", models.Available, 1)))
		require.Equal(t, 1, s.level("mug", "south").Available)
		late := s.moment()
		s.ok(counted(countedAt(late, row("mug", "south", models.Available, 8))))
		s.superseded(s.do(counted(countedAt(at, row("mug", "south", models.Available, 1)))), 0, late)
	})
}

// A count that lowers a level must not be below the floor, when it was counted or now.
// A count that finds more is always taken.
func TestCountBelowTheFloor(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		s.stock("cup", "north", 10)
		s.settings("cup", "inventory_policy = 'CONTINUE', backorder_limit = 3")
		at := s.moment()
		for _, product := range []string{"mug", "cup"} {
			s.reserved(line(product, 8))
		}
		low := models.InvalidInputError{Failure: path("rows", 0, "quantity")}
		for _, try := range []struct {
			product      string
			counted, now int
		}{{"mug", 7, -1}, {"mug", 8, 0}, {"cup", 4, -1}, {"cup", 5, -3}, {"mug", 11, 3}} {
			r := s.do(counted(countedAt(at, row(try.product, "north", models.Available, try.counted))))
			if try.now < 0 && try.product == "mug" || try.counted == 4 {
				s.fails(r, low)
				continue
			}
			require.Empty(t, r.Errors)
			require.Equal(t, try.now, s.level(try.product, "north").Available, "%+v", try)
		}
		s.ok(adjust(delta("mug", "north", models.Available, 50)))
		s.fails(s.do(counted(countedAt(at, row("mug", "north", models.Available, -1)))), low)
		s.settings("cup", "inventory_policy = 'DENY'")
		s.ok(counted(countedAt(at, row("cup", "north", models.Available, 6))))
		require.Equal(t, -2, s.level("cup", "north").Available, "below the floor, and nearer to it")
		s.fails(s.do(counted(countedAt(at, row("mug", "north", models.Available, models.QuantityMax)))), models.QuantityLimitExceededError{
			Failure: path("rows", 0, "quantity"), ProductID: "mug", Requested: models.QuantityMax + 42, Limit: models.QuantityMax})
	})
}

// changeFromQuantity beside countedAt is the quantity at that moment.
func TestCountComparesWithItsTime(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		at := s.moment()
		s.reserved(line("mug", 4))
		wrong := s.do(counted(from(countedAt(at, row("mug", "north", models.Available, 9)), 6)))
		s.fails(wrong, models.StaleQuantityError{Failure: path("rows", 0, "changeFromQuantity"), Expected: 6, Actual: 10, Version: s.read("mug").Version})
		require.Contains(t, wrong.Errors[0].GetMessage(), "was, when it was counted, 10")
		s.ok(counted(from(countedAt(at, row("mug", "north", models.Available, 9)), 10)))
		require.Equal(t, 5, s.level("mug", "north").Available)
	})
}

// A count must not be from the future, older than the bound, or before more movements
// than a write reads.
func TestBoundsOfACount(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.tampered = true
		s.stock("mug", "north", 10)
		s.stock("cup", "north", 10)
		refused := models.InvalidInputError{Failure: path("rows", 0, "countedAt")}
		for _, at := range []time.Time{
			s.now().Add(time.Hour), s.now().Add(counting.SkewMax + time.Second), s.now().Add(-counting.AgeMax - time.Second), s.now().AddDate(9000, 0, 0), s.now().AddDate(-2100, 0, 0),
		} {
			s.fails(s.do(counted(countedAt(at, row("mug", "north", models.Available, 3)))), refused)
		}
		s.ok(counted(countedAt(s.now().Add(counting.SkewMax-2*time.Second), row("mug", "north", models.Available, 9))))
		require.Equal(t, 9, s.level("mug", "north").Available)
		s.ok(counted(row("mug", "north", models.Available, 8)))

		at := s.moment()
		s.addEntries("mug", counting.EntriesMax)
		s.ok(counted(countedAt(at, row("mug", "north", models.Available, 6))))
		require.Equal(t, 6, s.level("mug", "north").Available)
		w := counted(countedAt(at, row("mug", "north", models.Available, 6)))
		s.fails(s.do(w), refused) // the count itself is one entry more
		two := s.batch(w, counted(countedAt(at, row("cup", "north", models.Available, 5))))
		s.fails(two[0], refused)
		require.Empty(t, two[1].Errors, "another write has its own bound")
		s.ok(counted(countedAt(s.moment(), row("mug", "north", models.Available, 5))))
	})
}

// addEntries adds movements to the ledger of a product in the north, which add up to
// nothing.
func (s *shop) addEntries(product string, n int) {
	s.t.Helper()
	table := "stock_movements"
	if s.kind == postgres {
		table = "ledger_rows"
	}
	have, version := s.level(product, "north").Available, s.read(product).Version
	var rows []string
	for i := range 100 {
		rows = append(rows, fmt.Sprintf("('%s', 'north', %d, 0, 0, 0, 0, 0, 0, %d, 0, 0, 0, 0, 0, 0, 'OTHER', %d)", product, 1-i%2*2, have+1-i%2, version))
	}
	for range n / 100 {
		s.exec("INSERT INTO " + table + " (product_id, location_id, " + columnsOf("_delta") + ", " + columnsOf("_after") + ", reason, version) VALUES " + strings.Join(rows, ", "))
	}
}

// columnsOf lists the columns of all states.
func columnsOf(suffix string) string {
	return strings.ReplaceAll(quantityColumns, ",", suffix+",") + suffix
}
