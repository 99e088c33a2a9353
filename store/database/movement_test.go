package database_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
)

// writeLedger writes movements of every kind.
func (s *shop) writeLedger(products ...string) {
	s.t.Helper()
	for i, p := range products {
		s.stock(p, "north", 20+i, "south", 10)
		w := adjust(delta(p, "north", models.Damaged, 2), delta(p, "south", models.Available, -1))
		w.Reference, w.Actor, w.Reason = fmt.Sprintf("doc %d", i%2), "ann", models.ReasonReturned
		s.ok(w)
		kept, gone := s.reserved(line(p, 3)), s.reserved(pinned(p, 2, "south"))
		s.ok(resolve(kept.ID, models.ReservationCommitted))
		s.ok(release(gone.ID))
		s.ok(resolve(kept.ID, models.ReservationFulfilled))
		late := s.reserved(line(p, 1))
		s.overdue(late.ID)
		require.NotEmpty(s.t, s.sweep(10))
		s.exec("UPDATE stock_levels SET available = available + 1, quality_control = 4 WHERE product_id = $1", p)
	}
}

// times returns when each movement was written, by id.
func (s *shop) times() map[int64]time.Time {
	s.t.Helper()
	at := map[int64]time.Time{}
	column := "created_at"
	if s.kind == postgres {
		column = "(extract(epoch FROM created_at) * 1000000)::bigint"
	}
	rows, err := s.raw.Query("SELECT movement_id, " + column + " FROM stock_movements")
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var id, micros int64
		require.NoError(s.t, rows.Scan(&id, &micros))
		at[id] = time.UnixMicro(micros)
	}
	require.NoError(s.t, rows.Err())
	return at
}

// matches applies a filter in plain Go.
func matches(f models.MovementFilter, m models.StockMovement, at time.Time) bool {
	return (f.ProductID == "" || f.ProductID == m.ProductID) &&
		(f.LocationID == "" || f.LocationID == m.LocationID) &&
		(f.State == "" || *m.Delta.Of(f.State) != 0) &&
		(f.Reason == "" || f.Reason == m.Reason) &&
		(f.Reference == "" || f.Reference == m.Reference) &&
		(f.ReservationID == "" || f.ReservationID == m.ReservationID) &&
		(f.Since == nil || !at.Before(*f.Since)) && (f.Until == nil || !at.After(*f.Until))
}

// filters returns each filter alone, each with a product, and some combinations.
func filters(ledger []models.StockMovement, times map[int64]time.Time) []models.MovementFilter {
	pick := func() models.StockMovement { return ledger[rand.N(len(ledger))] }
	reserved := pick()
	for reserved.ReservationID == "" {
		reserved = pick()
	}
	a, b := times[pick().MovementID], times[pick().MovementID]
	if b.Before(a) {
		a, b = b, a
	}
	list := []models.MovementFilter{
		{}, {LocationID: "south"}, {LocationID: "nowhere"}, {Reason: models.ReasonExpired}, {Reason: models.ReasonExternal},
		{Reference: "doc 1"}, {ReservationID: reserved.ReservationID}, {ReservationID: "garbage"},
		{Since: &a}, {Until: &b}, {Since: &a, Until: &b}, {Since: &b, Until: &a},
		{LocationID: "north", State: models.Available, Reason: models.ReasonReserved, Since: &a},
		{Reason: models.ReasonReturned, Reference: "doc 0", State: models.Damaged, LocationID: "north", Until: &b},
	}
	for _, state := range models.States {
		list = append(list, models.MovementFilter{State: state})
	}
	for _, f := range slices.Clone(list) {
		f.ProductID = pick().ProductID
		list = append(list, f)
	}
	return append(list, models.MovementFilter{ProductID: "nothing"})
}

// readPages reads all pages in one direction and joins them, newest first. It counts the
// pages with fewer movements than asked.
func (s *shop) readPages(filter models.MovementFilter, size int, backwards bool) (all []models.StockMovement, short int) {
	s.t.Helper()
	page := paging.MovementRequest{First: size}
	if backwards {
		page = paging.MovementRequest{Last: size}
	}
	for range 10_000 {
		got, err := s.ReadMovements(s.t.(*testing.T).Context(), page, filter)
		require.NoError(s.t, err)
		require.LessOrEqual(s.t, len(got.Movements), size)
		more := got.HasNext
		if backwards {
			more = got.HasPrev
		}
		var list []models.StockMovement
		for _, m := range got.Movements {
			list = append(list, *m)
		}
		if len(list) < size && more {
			short++
		}
		if backwards {
			require.Equal(s.t, page.Before > 0, got.HasNext)
			all, page.Before = slices.Concat(list, all), got.Start
		} else {
			require.Equal(s.t, page.After > 0, got.HasPrev)
			all, page.After = slices.Concat(all, list), got.End
		}
		if !more {
			return all, short
		}
	}
	require.Fail(s.t, "the pages do not end")
	return nil, 0
}

// Pages in both directions return what the ledger has, newest first, for every filter,
// page size and size of windows.
func TestMovementPages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.writeLedger("cup", "mug", "pot")
		ledger, times := s.movements(""), s.times()
		slices.Reverse(ledger)
		for _, windows := range [][2]int64{{1 << 12, 1 << 16}, {1, 1 << 16}, {1, 1}} {
			s.SetWindows(windows[0], windows[1])
			shorts := 0
			for _, f := range filters(ledger, times) {
				var want []models.StockMovement
				for _, m := range ledger {
					if matches(f, m, times[m.MovementID]) {
						m.CreatedAt = times[m.MovementID].UTC()
						want = append(want, m)
					}
				}
				for _, size := range []int{3, 250} {
					for _, backwards := range []bool{false, true} {
						got, short := s.readPages(f, size, backwards)
						shorts += short
						for i := range got {
							require.NotEmpty(t, got[i].Cursor)
							got[i].Cursor = ""
						}
						require.Equal(t, want, got, "%+v, pages of %d, backwards %v", f, size, backwards)
					}
				}
			}
			if windows[1] == 1 {
				require.Positive(t, shorts, "narrow windows were not enough for a page once")
			}
		}
	})
}

// A movement is found by its id and product, and not by a wrong pair.
func TestReadMovement(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.writeLedger("cup", "mug")
		for _, want := range s.movements("") {
			got, err := s.ReadMovement(t.Context(), want.MovementID, want.ProductID)
			require.NoError(t, err)
			require.Equal(t, want.Delta, got.Delta)
			require.Equal(t, want.After, got.After)
			require.NotZero(t, got.CreatedAt)
			got, err = s.ReadMovement(t.Context(), want.MovementID, "pot")
			require.NoError(t, err)
			require.Nil(t, got)
		}
	})
}
