package main

import (
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store"
)

func TestAuditFindsWhatTheServerGotWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong func(*fakeServer)
		want  string
	}{
		"a unit is lost":        {func(s *fakeServer) { s.stock["P3"].Available-- }, `product "P3" has available`},
		"a reservation is left": {func(s *fakeServer) { s.stock["P3"].Reserved++ }, `product "P3" has available`},
		"a unit is sold twice":  {func(s *fakeServer) { s.stock["P3"].Committed++ }, `product "P3" has available`},
		"a product is missing": {
			func(s *fakeServer) {
				s.listing = func(ids []string) []string {
					return slices.DeleteFunc(ids, func(id string) bool { return id == "P3" })
				}
			}, `product "P3" is in the file, but not in`,
		},
		"a product is listed twice": {
			func(s *fakeServer) {
				s.listing = func(ids []string) []string { return slices.Insert(ids, 0, ids[0]) }
			}, `product "P0" is listed twice`,
		},
		"keys are ignored": {
			func(s *fakeServer) {
				s.ignoresKeys = true
				s.faultOf = func(call int, _ string) callFault {
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

func TestAuditWaitsForALateCache(t *testing.T) {
	t.Parallel()
	s, config := open(t, writeYear(t), "full")
	config.Settle = time.Minute
	s.stock["P3"].Available--
	asked := 0
	s.faultOf = func(_ int, operation string) callFault {
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

// databaseFile makes a database as a server leaves it: two levels, one of them changed once.
func databaseFile(t *testing.T) (address string) {
	t.Helper()
	address = "sqlite:" + filepath.Join(t.TempDir(), "audit file?.db") // a name that must be escaped
	s, err := store.Open(store.Config{DatabaseURL: address})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	rows := []models.OpeningRow{{ProductID: "A", LocationID: "open", Available: 7}, {ProductID: "B", LocationID: "open", Available: 2}}
	locations := []models.Location{{LocationID: "open", Name: "Open", Active: true}}
	require.NoError(t, s.ImportOpening(t.Context(), rows, locations, nil, nil))
	result, err := s.Write(t.Context(), models.Adjust{IdempotencyKey: "k", Reason: models.ReasonReceived, Rows: []models.AdjustRow{
		{ProductID: "A", LocationID: "open", State: models.Available, Delta: 1},
	}})
	require.NoError(t, err)
	require.Empty(t, result.Errors)
	return address
}

// execute runs SQL on a database, as another program does.
func execute(t *testing.T, address string, statements ...string) {
	t.Helper()
	path := (&url.URL{Path: strings.TrimPrefix(address, "sqlite:")}).EscapedPath()
	db, err := driver.Open("file:" + path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// drained empties the outbox, as the relay does.
const drained = "DELETE FROM outbox"

func TestAuditOfTheStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		also  string
		redis []string // field, value, … of product A
		want  []string
	}{
		"right":              {drained, nil, []string{}},
		"outbox not drained": {"SELECT 1", nil, []string{"the outbox still has 5 rows after 0s"}},
		"level changed": {
			"UPDATE onhand_writer SET active = 1; UPDATE stock_levels SET available = 9 WHERE product_id = 'A'; UPDATE onhand_writer SET active = 0; " + drained, nil,
			[]string{`ledger_sum: "A" at "open": AVAILABLE is 9, its ledger adds up to 8`, `ledger_last: "A" at "open": AVAILABLE is 9, its last ledger row says 8`},
		},
		"reserved without a reservation": {"UPDATE stock_levels SET reserved = 1 WHERE product_id = 'A'; " + drained, nil, []string{`reserved: "A" at "open": the level has 1 reserved, active reservations have 0`}},
		"wrong in redis":                 {drained, []string{"product_id", "A"}, []string{`redis_content: "A": the hash in Redis cannot be read: it has no version that a reader believes: ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			if c.redis != nil {
				m.HSet("inventory:A", c.redis...)
			}
			address := databaseFile(t)
			execute(t, address, c.also)
			report := AuditFindings{First: []string{}}
			require.NoError(t, auditStore(t.Context(), Config{AuditDatabase: address, AuditRedis: "redis://" + m.Addr()}, &report))
			require.Equal(t, c.want, report.First)
			require.Equal(t, len(c.want), report.Differences)
		})
	}
}

func TestAuditWaitsForTheRelay(t *testing.T) {
	t.Parallel()
	address := databaseFile(t)
	report := AuditFindings{First: []string{}}
	done := make(chan error, 1)
	go func() { done <- auditStore(t.Context(), Config{AuditDatabase: address, Settle: time.Minute}, &report) }()
	require.NoError(t, waitUntil(t.Context(), time.Now().Add(settleEvery))) // so that the audit waits
	execute(t, address, drained)
	require.NoError(t, <-done)
	require.Equal(t, AuditFindings{Database: true, Levels: 2, Movements: 3, First: []string{}}, report)
}

func TestReplayWithEveryAudit(t *testing.T) {
	t.Parallel()
	_, config := open(t, writeYear(t), "full")
	config.AuditDatabase, config.AuditRedis = databaseFile(t), "redis://"+miniredis.RunT(t).Addr()
	execute(t, config.AuditDatabase, drained)
	r, err := Replay(t.Context(), config, io.Discard)
	require.NoError(t, err)
	require.Equal(t, AuditFindings{Products: 23, Database: true, Redis: true, Levels: 2, Movements: 3, First: []string{}}, r.Audit)
}

func TestAuditDatabaseRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"sqlite:", "sqlite::memory:", "mysql://x", "fakeServer.db"} {
		require.Error(t, checkAuditDatabase(address), address)
	}
	for _, address := range []string{"", "sqlite:x", "postgres://x", "postgresql://x"} {
		require.NoError(t, checkAuditDatabase(address), address)
	}
	require.Error(t, auditStore(t.Context(), Config{AuditDatabase: "sqlite:" + filepath.Join(t.TempDir(), "empty.db")}, &AuditFindings{}))
}

func TestAuditListsTheFirstDifferences(t *testing.T) {
	t.Parallel()
	var report AuditFindings
	for i := range 50 {
		report.differ("difference %d", i)
	}
	require.Equal(t, 50, report.Differences)
	require.Len(t, report.First, differencesMax)
}
