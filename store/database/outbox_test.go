package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// drained returns the changes of one round of draining.
func drained(t *testing.T, db *database.Database, limit int) (changes []models.Change) {
	t.Helper()
	n, err := db.DrainOutbox(t.Context(), limit, func(_ context.Context, c []models.Change) error {
		changes = c
		return nil
	})
	require.NoError(t, err)
	require.Len(t, changes, n)
	return changes
}

// pending empties the outbox and adds one change for each of n products.
func (s *shop) pending(n int) (want []models.Change) {
	s.t.Helper()
	for i := range n {
		s.stock(fmt.Sprintf("item %02d", i))
	}
	s.exec("DELETE FROM outbox")
	for i := range n {
		id := fmt.Sprintf("item %02d", i)
		s.settings(id, "title = 'new'")
		want = append(want, models.Change{ProductID: id, Version: s.read(id).Version})
	}
	return want
}

// Draining returns the oldest rows first, up to the limit, and deletes them.
func TestDrain(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		want := s.pending(5)
		require.Equal(t, want[:2], drained(t, s.Database, 2))
		require.Equal(t, want[2:], drained(t, s.Database, 10))
		require.Empty(t, drained(t, s.Database, 10))
		require.Zero(t, s.number("SELECT count(*) FROM outbox"))
	})
}

// Rows whose publishing fails stay in the outbox and are drained the next time.
func TestDrainFails(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		want := s.pending(3)
		lost := errors.New("redis is away")
		n, err := s.DrainOutbox(t.Context(), 10, func(context.Context, []models.Change) error { return lost })
		require.ErrorIs(t, err, lost)
		require.Zero(t, n)
		require.Equal(t, want, drained(t, s.Database, 10))
	})
}

// After an announcement the stock of the products is read with the claim, as of the changes
// or later, while the outbox has few rows.
func TestDrainAnnounced(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		want := s.pending(2)
		changes, stocks := announced(t, s.Database)
		require.Equal(t, want, changes)
		require.Equal(t, []*models.Stock{s.read("item 00"), s.read("item 01")}, stocks)
		require.Zero(t, s.number("SELECT count(*) FROM outbox"))

		s.pending(9)
		changes, stocks = announced(t, s.Database)
		require.Len(t, changes, 9)
		require.Empty(t, stocks, "more than a few")
	})
}

// A product with a row that cannot be read is drained without its stock.
func TestDrainAnnouncedPoison(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.pending(1)
		s.exec(`ALTER DOMAIN onhand_time DROP CONSTRAINT "years 1 to 9999"`)
		s.exec(`UPDATE products SET next_restock_at = 'infinity' WHERE product_id = 'item 00'`)
		_, err := s.ReadStocks(t.Context(), []string{"item 00"})
		require.Error(t, err)
		changes, stocks := announced(t, s.Database)
		require.Len(t, changes, 2)
		require.Empty(t, stocks)
	})
}

// SQLite announces nothing and reads nothing ahead.
func TestDrainAnnouncedSQLite(t *testing.T) {
	on(t, []string{sqlite}, func(t *testing.T, s *shop) {
		want := s.pending(2)
		changes, stocks := announced(t, s.Database)
		require.Equal(t, want, changes)
		require.Empty(t, stocks)
	})
}

// announced returns the changes of one round of draining after an announcement, and what
// was read with them, without times.
func announced(t *testing.T, db *database.Database) (changes []models.Change, stocks []*models.Stock) {
	t.Helper()
	n, err := db.DrainAnnounced(t.Context(), 20, func(_ context.Context, c []models.Change, read []*models.Stock) error {
		changes = c
		for _, stock := range read {
			stocks = append(stocks, timeless(stock))
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, changes, n)
	return changes, stocks
}

// Changes that are written during a drain are not deleted by it.
func TestDrainLeavesLaterRows(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		want := s.pending(2)
		_, err := s.DrainOutbox(t.Context(), 10, func(context.Context, []models.Change) error {
			s.settings("item 00", "title = 'newer'")
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []models.Change{{ProductID: "item 00", Version: want[0].Version + 1}}, drained(t, s.Database, 10))
	})
}

// Two relays share the work: neither waits for the other, nor drains its rows.
func TestRelaysShare(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		want := s.pending(6)
		second := open(t, s.url)
		var theirs []models.Change
		n, err := s.DrainOutbox(t.Context(), 4, func(_ context.Context, mine []models.Change) error {
			require.Equal(t, want[:4], mine)
			theirs = drained(t, second, 4)
			require.Empty(t, drained(t, second, 4))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Equal(t, want[4:], theirs)
		require.Zero(t, s.number("SELECT count(*) FROM outbox"))
	})
}

// Without a relay, the compacted outbox has one row for each product, the newest.
func TestCompact(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.pending(3)
		for i := range 4 {
			s.settings("item 01", fmt.Sprintf("title = 'new %d'", i))
		}
		require.NoError(t, s.CompactOutbox(t.Context()))
		require.Equal(t, int64(3), s.number("SELECT count(*) FROM outbox"))
		changes := drained(t, s.Database, 10)
		slices.SortFunc(changes, func(a, b models.Change) int { return int(a.Version - b.Version) })
		require.Equal(t, models.Change{ProductID: "item 01", Version: s.read("item 01").Version}, changes[2])
	})
}

// The sequence only grows, also when the outbox is empty. A database that was restored
// is found by it.
func TestSequence(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		read := func() int64 {
			meta, err := s.ReadMeta(t.Context())
			require.NoError(t, err)
			return meta.Sequence
		}
		require.Zero(t, read())
		s.pending(3)
		largest := s.number("SELECT max(outbox_id) FROM outbox")
		require.Equal(t, largest, read())
		drained(t, s.Database, 10)
		require.Equal(t, largest, read())
		s.settings("item 00", "title = 'newer'")
		require.Equal(t, largest+1, read())
	})
}

// A relay that freezes while it drains keeps its rows locked for a bounded time, not for
// the life of its connection.
func TestRelayFreezes(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		want := s.pending(2)
		frozen := open(t, s.url)
		frozen.SetDrainIdle(100 * time.Millisecond)
		_, err := frozen.DrainOutbox(t.Context(), 10, func(context.Context, []models.Change) error {
			require.Empty(t, drained(t, s.Database, 10), "the frozen relay has them locked")
			var others []models.Change
			require.Eventually(t, func() bool {
				others = drained(t, s.Database, 10)
				return len(others) > 0
			}, generous, poll)
			require.Equal(t, want, others)
			return nil
		})
		require.Error(t, err, "the server ended its transaction")
	})
}
