package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/dialect"
)

const brief = 50 * time.Millisecond

// blockedRows writes a batch that is blocked, and returns the locked rows, write by
// write.
func (s *shop) blockedRows(writes ...models.Write) [][]dialect.RowRef {
	s.t.Helper()
	before := s.levels()
	_, err := s.WriteUnderLock(context.Background(), writes)
	var locked *database.BlockedError
	require.ErrorAs(s.t, err, &locked)
	require.Equal(s.t, models.CodeUnavailable, models.CodeOf(err))
	require.Equal(s.t, before, s.levels(), "nothing was written")
	return locked.Rows
}

// A row that an outside transaction locks blocks every kind of write that needs it. The
// error names the rows of each write.
func TestLockedRowsAreNamed(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		s.stock("pen", "north", 5)
		mugs, pens := s.reserved(line("mug", 1)), s.reserved(line("pen", 1))
		unlock := s.lockLevels(t, "mug")
		mug := []dialect.RowRef{{Product: "mug"}}
		require.Equal(t, [][]dialect.RowRef{mug, nil, mug, nil, mug}, s.blockedRows(
			reserve(line("cup", 1), line("mug", 1)),
			reserve(line("cup", 1)),
			resolve(mugs.ID, models.ReservationCommitted),
			resolve(pens.ID, models.ReservationCommitted),
			adjust(delta("mug", "south", models.Available, 1)),
		))
		asked := []dialect.RowRef{{Product: "mug"}, {Product: "cup"}, {Reservation: mugs.ID}}
		locks, err := s.Locked(t.Context(), asked)
		require.NoError(t, err)
		require.Len(t, locks, 1)
		require.NotEmpty(t, locks[mug[0]])
		unlock()
		locks, err = s.Locked(t.Context(), asked)
		require.NoError(t, err)
		require.Empty(t, locks)
		s.ok(resolve(mugs.ID, models.ReservationCommitted))
	})
}

// A locked product row and a locked reservation block writes too.
func TestLockedSettingsAndReservations(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		r := s.reserved(line("cup", 1))
		tx, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.Exec("UPDATE products SET title = 'a mug' WHERE product_id = 'mug'")
		require.NoError(t, err)
		_, err = tx.Exec("SELECT 1 FROM reservations WHERE reservation_id = $1 FOR UPDATE", keyOf(r.ID))
		require.NoError(t, err)
		rows := s.blockedRows(reserve(line("mug", 1)), release(r.ID), reserve(line("cup", 1)))
		require.Equal(t, [][]dialect.RowRef{{{Product: "mug"}}, {{Reservation: r.ID}}, nil}, rows)
		require.NoError(t, tx.Rollback())
		s.ok(release(r.ID))
	})
}

// A reservation that is short because of an expired reservation is not refused while the
// expired one is locked: it is blocked.
func TestBuyerWaitsForALockedExpiredReservation(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		s.stock("mug", "north", 1)
		s.stock("cup", "north", 1)
		s.overdue(s.reserved(line("mug", 1), line("cup", 1)).ID)
		unlock := s.lockLevels(t, "cup")
		w := reserve(line("mug", 1))
		require.Equal(t, [][]dialect.RowRef{{{Product: "cup"}}}, s.blockedRows(w))
		unlock()
		s.ok(w)
	})
}

// The sweeper passes over reservations of locked products.
func TestSweepPassesOverLockedProducts(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(brief)
		s.stock("mug", "north", 5)
		s.stock("cup", "north", 5)
		mugs := []string{s.reserved(line("mug", 1)).ID, s.reserved(line("cup", 1), line("mug", 1)).ID}
		cups := s.reserved(line("cup", 2)).ID
		s.overdue(append(mugs, cups)...)
		unlock := s.lockLevels(t, "mug")
		ended := s.sweep(100)
		require.Len(t, ended, 1)
		require.Equal(t, cups, ended[0].ID)
		unlock()
		require.Len(t, s.sweep(100), 2)
		require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
	})
}

// A row that passes from one transaction to the next, as between busy instances, does
// not make a write blocked: the write gets its turn.
func TestRowThatPassesOnDoesNotBlock(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.SetLockWait(time.Second)
		s.stock("mug", "north", 5)
		const lock = "SELECT 1 FROM stock_levels WHERE product_id = 'mug' FOR UPDATE"
		first, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = first.Exec(lock)
		require.NoError(t, err)
		second, err := s.raw.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		wrote, has := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := s.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 1))})
			wrote <- err
		}()
		began := s.awaitLaterBlocked(t, "")
		go func() {
			_, err := second.Exec(lock)
			has <- err
		}()
		began = s.awaitLaterBlocked(t, began) // now queued after the second transaction
		require.NoError(t, first.Rollback())
		require.NoError(t, <-has)
		s.awaitLaterBlocked(t, began)
		require.NoError(t, second.Rollback())
		require.NoError(t, <-wrote)
	})
}

// awaitLaterBlocked waits until a transaction of Onhand waits for a lock, another one
// than the one that began at earlier, and returns when it began.
func (s *shop) awaitLaterBlocked(t *testing.T, earlier string) (began string) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := s.raw.QueryRow(`SELECT xact_start::text FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = 'onhand' AND wait_event_type = 'Lock' AND xact_start::text <> $1`, earlier).Scan(&began)
		return err == nil
	}, generous, poll)
	return began
}
