package database_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/dialect"
)

// A sweep expires reservations of one product together, in any order of expiry: a
// product gets one or two new versions, however many reservations expire.
func TestSweepTakesAProductsReservationsTogether(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const products, each = 10, 2 * database.SweepReservationsMax / 10
		name := func(i int) string { return fmt.Sprintf("mug %d", i%products) }
		for i := range products {
			s.stock(name(i), "north", each)
		}
		for range each {
			var batch []models.Write
			for i := range products {
				batch = append(batch, reserve(line(name(i), 1)))
			}
			s.with(goroutineT{t}).mustWrite(batch...)
		}
		s.allOverdue()
		ended, touched := 0, 0
		for _, out := range s.sweeps(products * each) {
			require.LessOrEqual(t, len(out.Reservations), database.SweepReservationsMax)
			ended, touched = ended+len(out.Reservations), touched+len(out.Stocks)
		}
		require.Equal(t, products*each, ended)
		require.LessOrEqual(t, touched, products+1, "one product may be in two batches")
		for i := range products {
			require.Equal(t, models.Quantities{Available: each}, s.level(name(i), "north"))
		}
	})
}

// A reservation of several products and locations is released where it was taken, with
// one movement for each level. So is one whose lines were updated.
func TestSweepReleasesEveryAllocation(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 2, "south", 3)
		s.stock("cup", "south", 4)
		s.stock("pen", "north", 1)
		const odd = `an "odd", \"pen\" ü,`
		s.stock(odd, "north", 2)
		first, second := s.reserved(line("mug", 4), line("cup", 1), line(odd, 2)), s.reserved(line("pen", 1))
		s.ok(update(second.ID, line("cup", 2), line("mug", 1)))
		s.overdue(first.ID, second.ID)
		require.Len(t, s.sweep(10), 2)
		require.Equal(t, models.Quantities{Available: 2}, s.level(odd, "north"))
		require.Equal(t, models.Quantities{Available: 2}, s.level("mug", "north"))
		require.Equal(t, models.Quantities{Available: 3}, s.level("mug", "south"))
		require.Equal(t, models.Quantities{Available: 4}, s.level("cup", "south"))
		require.Equal(t, models.Quantities{Available: 1}, s.level("pen", "north"))
		rows := 0
		for _, m := range append(s.movements("mug"), s.movements("cup")...) {
			if m.Reason == models.ReasonExpired {
				require.Contains(t, []string{first.ID, second.ID}, m.ReservationID)
				rows++
			}
		}
		require.Equal(t, 5, rows)
	})
}

// A sweep expires more reservations than it reads at once, although the oldest are of a
// locked product.
func TestSweepReadsPastLockedProducts(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		s.SetOverdue(2)
		s.stock("mug", "north", 9)
		s.stock("cup", "north", 9)
		for i := range 10 {
			id := s.reserved(line([]string{"mug", "cup"}[i/5], 1)).ID
			s.exec("UPDATE reservations SET expires_at = "+s.clock(i-20)+" WHERE reservation_id = $1", keyOf(id))
		}
		unlock := s.lockLevels(t, "mug")
		require.Len(t, s.sweep(100), 5)
		unlock()
		require.Len(t, s.sweep(100), 5)
	})
}

// A sweep retries a product that passes from one transaction to the next. It passes over
// a product that one transaction keeps locked.
func TestSweepOfAProductInDemand(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		s.overdue(s.reserved(line("mug", 1)).ID, s.reserved(line("cup", 1)).ID)
		unlock := s.lockLevels(t, "mug")
		mug := dialect.RowRef{Product: "mug"}
		locks, err := s.Locked(t.Context(), []dialect.RowRef{mug})
		require.NoError(t, err)
		again, passedOver, err := s.Recheck(t.Context(), locks)
		require.NoError(t, err)
		require.Zero(t, again)
		require.Equal(t, []string{"mug"}, passedOver)
		again, passedOver, err = s.Recheck(t.Context(), dialect.Locks{mug: {"an earlier one"}})
		require.NoError(t, err)
		require.Equal(t, 1, again)
		require.Empty(t, passedOver)
		unlock()
		require.Len(t, s.sweep(10), 2)
	})
}

// A sweep passes over a locked reservation.
func TestSweepPassesOverLockedReservations(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		locked, free := s.reserved(line("mug", 1)).ID, s.reserved(line("mug", 2)).ID
		s.overdue(locked, free)
		tx, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.Exec("SELECT 1 FROM reservations WHERE reservation_id = $1 FOR UPDATE", keyOf(locked))
		require.NoError(t, err)
		require.Equal(t, []string{free}, ids(s.sweep(10)))
		require.NoError(t, tx.Rollback())
		require.Equal(t, []string{locked}, ids(s.sweep(10)))
	})
}

// A reservation that cannot expire does not stop the others, and is reported.
func TestSweepReportsWhatCannotExpire(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.tampered = true
		s.stock("mug", "north", 9)
		var all []string
		for range 5 {
			all = append(all, s.reserved(line("mug", 1)).ID)
		}
		s.exec(`UPDATE reservations SET lines = '[{"productId": "mug", "quantity": "one"}]' WHERE reservation_id = $1`, keyOf(all[2]))
		s.overdue(all...)
		ended, faults := 0, 0
		for out, err := range s.ExpireDue(context.Background(), 10) {
			ended += len(out.Reservations)
			if err != nil {
				assert.Equal(t, models.CodeInternal, models.CodeOf(err))
				faults++
			}
		}
		require.Equal(t, []int{4, 1}, []int{ended, faults})
		require.Equal(t, models.Quantities{Available: 8, Reserved: 1}, s.level("mug", "north"))
		s.exec("DELETE FROM reservations WHERE reservation_id = $1", keyOf(all[2]))
	})
}

// A sweep decides on the reservation as it is under lock: resolved, extended, or with
// other lines since it was read.
func TestSweepDecidesUnderLock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		s.stock("cup", "north", 9)
		over, ended, longer, other := s.reserved(line("mug", 1)).ID, s.reserved(line("mug", 1)).ID, s.reserved(line("mug", 1)).ID, s.reserved(line("mug", 1)).ID
		s.overdue(over, ended, longer, other)
		var swept []string
		for out, err := range s.ExpireListed(t.Context(), func() {
			s.overdue(over)
			for id, seconds := range map[string]int{ended: 60, longer: 60, other: 60} { // the clock was set back
				s.exec("UPDATE reservations SET expires_at = "+s.clock(seconds)+" WHERE reservation_id = $1", keyOf(id))
			}
			s.ok(resolve(ended, models.ReservationCommitted))
			s.ok(update(other, line("cup", 1)))
			s.overdue(other)
		}) {
			require.NoError(t, err)
			swept = append(swept, ids(out.Reservations)...)
		}
		require.Equal(t, []string{over}, swept)
		require.Equal(t, models.ReservationCommitted, s.reservation(ended).State)
		require.Equal(t, models.ReservationActive, s.reservation(longer).State)
		require.Equal(t, models.Quantities{Available: 7, Reserved: 1, Committed: 1}, s.level("mug", "north"))
		require.Equal(t, []string{other}, ids(s.sweep(10)), "the next sweep finds its new lines")
		require.Equal(t, models.Quantities{Available: 9}, s.level("cup", "north"))
	})
}

// Two instances sweep the same reservations at the same time: each reservation expires
// once.
func TestInstancesSweepTogether(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const reservations = 3 * database.SweepReservationsMax
		s.stock("mug", "north", reservations)
		for range 3 {
			batch := make([]models.Write, database.SweepReservationsMax)
			for i := range batch {
				batch[i] = reserve(line("mug", 1))
			}
			s.with(goroutineT{t}).mustWrite(batch...)
		}
		s.allOverdue()
		second := s.Database
		if s.kind != memory {
			second = open(t, s.url)
		}
		counts := make(chan int)
		for _, db := range []*database.Database{s.Database, second} {
			go func() {
				ended := 0
				for out, err := range db.ExpireDue(context.Background(), reservations) {
					assert.NoError(t, err)
					ended += len(out.Reservations)
				}
				counts <- ended
			}()
		}
		ended := <-counts + <-counts
		ended += len(s.sweep(reservations)) // what each instance passed over because of the other
		require.Equal(t, reservations, ended)
		require.Equal(t, models.Quantities{Available: reservations}, s.level("mug", "north"))
		require.Len(t, s.movements("mug"), 1+2*reservations)
	})
}
