package main

import (
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"database/sql"
)

func TestAuditFindsWhatTheShopGotWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong func(*shop)
		want  string
	}{
		"a unit is lost":       {func(s *shop) { s.stock["P3"].Available-- }, `product "P3" has available`},
		"a hold is left":       {func(s *shop) { s.stock["P3"].Reserved++ }, `product "P3" has available`},
		"a unit is sold twice": {func(s *shop) { s.stock["P3"].Committed++ }, `product "P3" has available`},
		"a product is missing": {
			func(s *shop) {
				s.listing = func(ids []string) []string {
					return slices.DeleteFunc(ids, func(id string) bool { return id == "P3" })
				}
			}, `product "P3" is in the file, but not in`,
		},
		"a product is listed twice": {
			func(s *shop) {
				s.listing = func(ids []string) []string { return slices.Insert(ids, 0, ids[0]) }
			}, `product "P0" is listed twice`,
		},
		"keys are forgotten": {
			func(s *shop) {
				s.forgetful = true
				s.trouble = func(call int, _ string) trouble {
					if call%3 == 0 {
						return lostAnswer
					}
					return none
				}
			}, "so it should be",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, config := open(t, writeYear(t), "full")
			config.Customers = 1
			c.wrong(s)
			r, err := Replay(t.Context(), config, io.Discard)
			require.ErrorContains(t, err, "the audit found")
			require.Positive(t, r.Audit.Differences)
			require.Contains(t, r.Audit.First[0], c.want)
		})
	}
}

func TestAuditWaitsForACacheThatRunsBehind(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "full")
	config.Settle = time.Minute
	s.stock["P3"].Available--
	asked := 0
	s.trouble = func(_ int, operation string) trouble {
		if operation == "Stocks" {
			if asked++; asked == 2 {
				s.stock["P3"].Available++
			}
		}
		return none
	}
	_, err := Replay(t.Context(), config, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 2, asked)
}

// ledger makes a database file with the tables that the audit reads: two levels that their movements add up to.
func ledger(t *testing.T, also ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit file?.db") // a name that must be escaped
	db, err := sql.Open("sqlite3", "file:"+filepath.Dir(path)+"/audit%20file%3F.db")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, statement := range append([]string{
		`CREATE TABLE products (product_id, version INTEGER)`,
		`CREATE TABLE locations (location_id, active INTEGER)`,
		`CREATE TABLE stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming)`,
		`CREATE TABLE stock_movements (product_id, location_id, available_delta, reserved_delta, committed_delta, damaged_delta,
			quality_control_delta, safety_stock_delta, incoming_delta)`,
		`CREATE TABLE outbox (outbox_id)`,
		`INSERT INTO products VALUES ('A', 3), ('B', 1), ('C', 1)`,
		`INSERT INTO locations VALUES ('open', 1), ('closed', 0)`,
		`INSERT INTO stock_levels VALUES ('A', 'open', 7, 0, 3, 0, 1, 0, 0), ('A', 'closed', 5, 0, 0, 0, 0, 0, 9)`,
		`INSERT INTO stock_movements VALUES ('A', 'open', 11, 0, 0, 0, 0, 0, 0), ('A', 'open', -3, 3, 0, 0, 0, 0, 0),
			('A', 'open', 0, -3, 3, 0, 0, 0, 0), ('A', 'open', -1, 0, 0, 0, 1, 0, 0), ('A', 'closed', 5, 0, 0, 0, 0, 0, 9)`,
	}, also...) {
		_, err := db.Exec(statement)
		require.NoError(t, err, statement)
	}
	return "sqlite:" + path
}

func TestAuditDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		also string
		want []string
	}{
		"right":              {"SELECT 1", []string{}},
		"level changed":      {"UPDATE stock_levels SET available = 8 WHERE location_id = 'open'", []string{`"A" at "open" has AVAILABLE 8, but its ledger adds up to 7`}},
		"other state":        {"UPDATE stock_levels SET incoming = 0", []string{`"A" at "closed" has INCOMING 0, but its ledger adds up to 9`}},
		"movement lost":      {"DELETE FROM stock_movements WHERE location_id = 'closed'", []string{`"A" at "closed" has AVAILABLE 5, but its ledger adds up to 0`, `"A" at "closed" has INCOMING 9, but its ledger adds up to 0`}},
		"level lost":         {"DELETE FROM stock_levels WHERE location_id = 'closed'", []string{`"A" at "closed" has movements, but no level`}},
		"negative":           {"INSERT INTO stock_levels VALUES ('B', 'open', 0, -1, 0, 0, 0, 0, 0)", []string{`"B" at "open" has RESERVED -1, but its ledger adds up to 0`, `"B" at "open" is negative: RESERVED: -1`}},
		"outbox not drained": {"INSERT INTO outbox VALUES (1), (2)", []string{"the outbox still has 2 rows after 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := openDatabase(ledger(t, c.also))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			report := AuditReport{First: []string{}}
			require.NoError(t, auditDatabase(t.Context(), Config{}, db, &report))
			require.Equal(t, c.want, report.First)
			require.Equal(t, len(c.want), report.Differences)
		})
	}
}

func TestAuditRedis(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write func(*miniredis.Miniredis)
		want  []string
	}{
		"right":             {func(*miniredis.Miniredis) {}, []string{}},
		"quantity differs":  {func(m *miniredis.Miniredis) { m.HSet("inventory:A", "quantity", "12") }, []string{`redis has quantity "12" and version "3" of "A", the database 7 and 3`}},
		"version differs":   {func(m *miniredis.Miniredis) { m.HSet("inventory:A", "version", "2") }, []string{`redis has quantity "7" and version "2" of "A", the database 7 and 3`}},
		"denied by mistake": {func(m *miniredis.Miniredis) { m.HSet("inventory:C", "missing", "1") }, []string{`redis has quantity "" and version "" of "C", the database 0 and 1`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			m.HSet("inventory:A", "quantity", "7", "version", "3")
			m.HSet("inventory:B", "quantity", "0", "version", "1")
			c.write(m)
			db, err := openDatabase(ledger(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			report := AuditReport{First: []string{}}
			require.NoError(t, auditRedis(t.Context(), Config{AuditRedis: "redis://" + m.Addr()}, db, &report))
			require.Equal(t, c.want, report.First)
			require.GreaterOrEqual(t, report.Hashes, 2)
		})
	}
}

func TestReplayWithEveryAudit(t *testing.T) {
	t.Parallel()
	_, config := open(t, writeYear(t), "full")
	m := miniredis.RunT(t)
	m.HSet("inventory:A", "quantity", "7", "version", "3")
	config.AuditDatabase, config.AuditRedis = ledger(t), "redis://"+m.Addr()
	r, err := Replay(t.Context(), config, io.Discard)
	require.NoError(t, err)
	require.Equal(t, AuditReport{Products: 23, Database: true, Redis: true, Levels: 2, Movements: 5, Hashes: 1, First: []string{}}, r.Audit)
}

func TestOpenDatabaseRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"sqlite:", "sqlite::memory:", "mysql://x", "shop.db"} {
		_, err := openDatabase(address)
		require.Error(t, err, address)
	}
}

func TestAuditListsTheFirstDifferences(t *testing.T) {
	t.Parallel()
	var report AuditReport
	for i := range 50 {
		report.differ("difference %d", i)
	}
	require.Equal(t, 50, report.Differences)
	require.Len(t, report.First, differencesMax)
}
