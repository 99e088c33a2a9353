package database_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

// drain reads a feed until it has nothing more.
func drain(t *testing.T, f *database.Feed) (moved []database.Moved) {
	t.Helper()
	for {
		next, more, err := f.Next(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, len(next), database.FeedBatchMax)
		moved = append(moved, next...)
		if !more {
			return moved
		}
	}
}

// byVersion requires that the movements of each product are in the order of their
// versions.
func byVersion(t *testing.T, moved []database.Moved) {
	t.Helper()
	versions := map[string]int64{}
	for _, m := range moved {
		require.Less(t, versions[m.ProductID], m.Version, "%s", m.ProductID)
		versions[m.ProductID] = m.Version
	}
}

func (s *shop) feed(t *testing.T, after string, filter models.MovementFilter) *database.Feed {
	t.Helper()
	f, err := s.Feed(t.Context(), after, filter)
	require.NoError(t, err)
	return f
}

func movedIDs(moved []database.Moved) []int64 {
	list := make([]int64, len(moved))
	for i, m := range moved {
		list[i] = m.MovementID
	}
	return list
}

func ledgerIDs(ledger []models.StockMovement, keep func(models.StockMovement) bool) (list []int64) {
	for _, m := range ledger {
		if keep == nil || keep(m) {
			list = append(list, m.MovementID)
		}
	}
	return list
}

// A feed starts at the current position, returns each later movement once and in order,
// and continues after any of its cursors. So does a feed with a filter.
func TestFeed(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.writeLedger("cup")
		before := len(s.movements(""))
		all := s.feed(t, "", models.MovementFilter{})
		some := s.feed(t, "", models.MovementFilter{ProductID: "mug", State: models.Reserved})
		require.Empty(t, drain(t, all))
		s.writeLedger("mug", "pot")
		ledger := s.movements("")[before:]
		moved := drain(t, all)
		require.Equal(t, ledgerIDs(ledger, nil), movedIDs(moved))
		reserved := func(m models.StockMovement) bool { return m.ProductID == "mug" && m.Delta.Reserved != 0 }
		require.Equal(t, ledgerIDs(ledger, reserved), movedIDs(drain(t, some)))
		s.writeLedger("jug")
		ledger = s.movements("")[before:]
		rest := drain(t, all)
		require.Equal(t, ledgerIDs(ledger, nil), append(movedIDs(moved), movedIDs(rest)...))
		moved = append(moved, rest...)
		for i, m := range moved {
			s.SetWindows(1+rand.Int64N(5), 1+rand.Int64N(50))
			again := drain(t, s.feed(t, m.Cursor, models.MovementFilter{}))
			require.Equal(t, ledgerIDs(ledger, nil)[i+1:], movedIDs(again), "after movement %d", m.MovementID)
		}
	})
}

// A movement of a page has a cursor too: a feed from it returns everything newer.
func TestFeedFromAPage(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.writeLedger("cup", "mug")
		page, err := s.ReadMovements(t.Context(), paging.MovementRequest{First: 10}, models.MovementFilter{})
		require.NoError(t, err)
		one, err := s.ReadMovement(t.Context(), page.Movements[9].MovementID, page.Movements[9].ProductID)
		require.NoError(t, err)
		s.writeLedger("pot")
		ledger := ledgerIDs(s.movements(""), nil)
		for _, m := range append(page.Movements, one) {
			at := slices.Index(ledger, m.MovementID)
			require.Equal(t, ledger[at+1:], movedIDs(drain(t, s.feed(t, m.Cursor, models.MovementFilter{}))))
		}
	})
}

// outsideTx is a transaction of an outside writer.
type outsideTx struct {
	t  *testing.T
	tx *sql.Tx
}

func (s *shop) begin(t *testing.T) *outsideTx {
	t.Helper()
	tx, err := s.raw.BeginTx(context.Background(), nil)
	require.NoError(t, err)
	return &outsideTx{t: t, tx: tx}
}

func (o *outsideTx) add(product string, n int) {
	o.t.Helper()
	_, err := o.tx.Exec("UPDATE stock_levels SET available = available + $2 WHERE product_id = $1", product, n)
	require.NoError(o.t, err)
}

func (o *outsideTx) savepoint(product string, n int) {
	o.t.Helper()
	for _, query := range []string{"SAVEPOINT here", "", "RELEASE here"} {
		if query == "" {
			o.add(product, n)
			continue
		}
		_, err := o.tx.Exec(query)
		require.NoError(o.t, err)
	}
}

func (o *outsideTx) commit() {
	o.t.Helper()
	require.NoError(o.t, o.tx.Commit())
}

// Two transactions take their ids early and commit late, in the other order, while
// others commit. The feed waits for neither, and returns each movement once, from
// whichever cursor it continues.
func TestFeedOutOfOrder(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		for _, p := range []string{"cup", "mug", "pot", "jug"} {
			s.stock(p, "north", 10)
		}
		f := s.feed(t, "", models.MovementFilter{})
		var seen []database.Moved
		read := func() []database.Moved {
			got := drain(t, f)
			seen = append(seen, got...)
			return got
		}
		one, two := s.begin(t), s.begin(t)
		one.add("cup", 1)
		two.savepoint("mug", 1)
		s.ok(adjust(delta("pot", "north", models.Available, 1)))
		got := read()
		require.Len(t, got, 1, "committed movements are there, running transactions or not")
		require.Equal(t, "pot", got[0].ProductID)
		page, err := s.ReadMovements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{})
		require.NoError(t, err)
		one.savepoint("jug", 1)
		two.commit()
		s.ok(adjust(delta("mug", "north", models.Available, 1)))
		got = read()
		require.Len(t, got, 2)
		require.Equal(t, []string{"mug", "mug"}, []string{got[0].ProductID, got[1].ProductID})
		require.Less(t, got[0].MovementID, seen[0].MovementID, "given before, and committed after")
		require.Less(t, got[0].Version, got[1].Version)
		one.commit()
		s.ok(adjust(delta("cup", "north", models.Available, 1)))
		require.Len(t, read(), 3)
		require.ElementsMatch(t, ledgerIDs(s.movements("")[4:], nil), movedIDs(seen))
		for i, m := range seen {
			rest := drain(t, s.feed(t, m.Cursor, models.MovementFilter{}))
			require.ElementsMatch(t, movedIDs(seen)[i+1:], movedIDs(rest), "after movement %d", m.MovementID)
			byVersion(t, rest)
		}
		late := drain(t, s.feed(t, page.Movements[0].Cursor, models.MovementFilter{}))
		require.ElementsMatch(t, movedIDs(seen)[1:], movedIDs(late), "what was running when the page was read comes too")
	})
}

// With many concurrent writers, some of them slow to commit, and a reader that loses its
// connection at random, the reader gets each movement once, those of a product by
// version.
func TestFeedUnderFire(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		products := []string{"a", "b", "c", "d", "e", "f"}
		for _, p := range products {
			s.stock(p, "north", 1000)
		}
		before := len(s.movements(""))
		f := s.feed(t, "", models.MovementFilter{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 60 {
				o := s.begin(t)
				o.add(products[i%2], 1)
				p := s.begin(t)
				p.savepoint(products[2+i%2], 1)
				s.ok(adjust(delta(products[4+i%2], "north", models.Available, -1)))
				if i%3 == 0 {
					p.commit()
					s.ok(adjust(delta(products[2+i%2], "north", models.Available, -1)))
					o.commit()
				} else {
					o.commit()
					p.commit()
				}
			}
		}()
		var seen []database.Moved
		running, deadline := true, time.Now().Add(generous)
		for running || len(seen) < len(s.movements(""))-before {
			select {
			case <-done:
				running = false
			default:
			}
			require.True(t, time.Now().Before(deadline), "movements are missing: %d seen", len(seen))
			next, _, err := f.Next(t.Context())
			require.NoError(t, err)
			if len(next) > 0 {
				cut := 1 + rand.N(len(next)) // as if the connection had failed after these
				seen = append(seen, next[:cut]...)
				f = s.feed(t, next[cut-1].Cursor, models.MovementFilter{})
			}
		}
		require.Empty(t, drain(t, f))
		require.ElementsMatch(t, ledgerIDs(s.movements("")[before:], nil), movedIDs(seen))
		byVersion(t, seen)
		require.False(t, slices.IsSorted(movedIDs(seen)), "commits were never out of order")
	})
}

// A feed continues after its connection was killed.
func TestFeedSurvivesItsConnection(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		f := s.feed(t, "", models.MovementFilter{})
		s.ok(adjust(delta("mug", "north", models.Available, 1)))
		s.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		var moved []database.Moved
		require.Eventually(t, func() bool {
			var err error
			moved, _, err = f.Next(t.Context())
			if err != nil {
				require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
			}
			return len(moved) > 0
		}, generous, poll)
		require.Len(t, moved, 1)
		require.Empty(t, drain(t, f))
	})
}

// A text that is no cursor is refused, and so is a cursor of another ledger.
func TestFeedCursors(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		f := s.feed(t, "", models.MovementFilter{})
		s.stock("mug", "north", 10)
		moved := drain(t, f)
		require.Len(t, moved, 1)
		for _, wrong := range []string{"x", "AQ", moved[0].Cursor[1:], moved[0].Cursor + "AA", "!"} {
			_, err := s.Feed(t.Context(), wrong, models.MovementFilter{})
			require.Equal(t, models.CodeBadUserInput, models.CodeOf(err), wrong)
			require.ErrorContains(t, err, "no cursor")
		}
		table := "stock_movements"
		if s.kind == sqlite || s.kind == memory {
			s.exec("DROP TRIGGER append_only_update")
		} else {
			table = "ledger_rows"
			s.exec("ALTER TABLE ledger_rows DISABLE TRIGGER append_only")
		}
		s.exec("UPDATE " + table + " SET created_at = " + s.clock(-3600))
		_, err := s.Feed(t.Context(), moved[0].Cursor, models.MovementFilter{})
		require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		require.ErrorContains(t, err, "another ledger")
		if s.kind == postgres {
			s.exec("ALTER TABLE ledger_rows ENABLE TRIGGER append_only")
		}
	})
}

// A restored ledger has transaction ids that its server has not reached yet. A feed does
// not take them for new movements, neither now nor when the server reaches them.
func TestFeedOfARestoredDump(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		s.reserveUnits("mug", 5)
		conn, err := pgx.Connect(t.Context(), s.url)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		// As a restore does: rows and chunks with their old transaction ids, and no triggers.
		_, err = conn.Exec(t.Context(), `SET session_replication_role = replica;
			CREATE TEMP TABLE dump AS SELECT * FROM ledger_rows;
			CREATE TEMP TABLE dumped_chunks AS SELECT * FROM ledger_chunks;
			UPDATE dump SET txid = pg_current_xact_id()::text::bigint + 5;
			UPDATE dumped_chunks SET txid = pg_current_xact_id()::text::bigint + 5;
			DELETE FROM ledger_rows;
			DELETE FROM ledger_chunks;
			INSERT INTO ledger_rows OVERRIDING SYSTEM VALUE SELECT * FROM dump;
			INSERT INTO ledger_chunks SELECT * FROM dumped_chunks`)
		require.NoError(t, err)
		f := s.feed(t, "", models.MovementFilter{})
		for range 20 { // past those transaction ids
			s.exec("UPDATE products SET low_stock_threshold = low_stock_threshold + 1")
			require.Empty(t, drain(t, f))
		}
		s.ok(adjust(delta("mug", "north", models.Available, 1)))
		require.Len(t, drain(t, f), 1)
		page, err := s.ReadMovements(t.Context(), paging.MovementRequest{Last: 1}, models.MovementFilter{})
		require.NoError(t, err)
		require.Len(t, drain(t, s.feed(t, page.Movements[0].Cursor, models.MovementFilter{})), 6, "a page's cursor works")
	})
}
