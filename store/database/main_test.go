package database_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	rapidChecks()
	storetest.Main(m)
}

const (
	postgres = "postgres"
	sqlite   = "sqlite" // a file
	memory   = "memory" // SQLite without a file

	// reservationTTL is longer than any test. generous bounds waiting on a busy machine.
	reservationTTL = 10 * time.Minute
	generous       = 30 * time.Second
	poll           = 5 * time.Millisecond
)

// tester is implemented by *testing.T and *rapid.T.
type tester interface {
	require.TestingT
	Helper()
}

// shop is one database with a catalogue, and a connection of an outside writer.
//
// Locations by priority: north, south, and far, which is not active. Channels: web
// (south), all (north, south, far), none.
type shop struct {
	*database.Database
	t    tester
	kind string
	url  string
	raw  *sql.DB // an outside writer; in memory, the pool itself

	// tampered: the test changes levels and reservations so that they do not fit.
	tampered bool
}

// onEvery runs a test on every engine.
func onEvery(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	on(t, []string{postgres, sqlite, memory}, test)
}

// on runs a test on these engines, and audits the database after it.
func on(t *testing.T, kinds []string, test func(t *testing.T, s *shop)) {
	t.Helper()
	t.Parallel()
	for _, kind := range kinds {
		if kind == memory && testing.Short() {
			continue // the same engine as in a file
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := openShop(t, kind, emptyURL(t, kind))
			t.Cleanup(s.audit)
			test(t, s)
		})
	}
}

// emptyURL returns the URL of a database without rows.
func emptyURL(t *testing.T, kind string) string {
	t.Helper()
	if kind == postgres {
		return wipedPostgres(t)
	}
	return freshURL(t, kind)
}

// freshURL returns the URL of a new database.
func freshURL(t *testing.T, kind string) string {
	t.Helper()
	switch kind {
	case postgres:
		return storetest.Postgres(t)
	case sqlite:
		return "sqlite:" + filepath.Join(t.TempDir(), "stock 100%.db")
	}
	return "sqlite::memory:"
}

// open opens and migrates the database at a URL, as another instance does. On Postgres
// the account of migrations migrates, and the one of servers works.
func open(t *testing.T, url string) *database.Database {
	t.Helper()
	db := openOnly(t, storetest.OwnerAccount(url))
	_, err := db.Migrate(context.Background())
	require.NoError(t, err)
	if storetest.ServerAccount(url) == url {
		return db
	}
	return openOnly(t, url)
}

// openOnly opens the database at a URL and does not migrate it. The account of a server takes the
// place of the administrator's.
func openOnly(t *testing.T, url string) *database.Database {
	t.Helper()
	db, err := database.Open(storetest.ServerAccount(url), slog.New(slog.DiscardHandler), database.Switches{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetLockWait(3 * time.Second)
	return db
}

// openShop opens the database at a URL and adds the catalogue.
func openShop(t *testing.T, kind, url string) *shop {
	t.Helper()
	s := &shop{Database: open(t, url), t: t, kind: kind, url: url}
	s.raw = outside(t, s)
	require.NoError(t, s.AddCatalogue(context.Background(), database.Catalogue{
		Locations: []models.Location{
			{LocationID: "north", Name: "North", Priority: 1, Active: true},
			{LocationID: "south", Name: "South", Priority: 2, Active: true, Pickup: true},
			{LocationID: "far", Name: "Far", Priority: 3},
		},
		Channels: []models.Channel{
			{ChannelID: "web", Name: "Web", LocationIDs: []string{"south"}},
			{ChannelID: "all", Name: "All", LocationIDs: []string{"north", "south", "far"}},
			{ChannelID: "none", Name: "None"},
		},
	}))
	return s
}

// outside returns a connection pool of an outside writer.
func outside(t *testing.T, s *shop) *sql.DB {
	t.Helper()
	var pool *sql.DB
	var err error
	switch s.kind {
	case memory:
		return s.SQL
	case postgres:
		pool, err = sql.Open("pgx", s.url)
	default:
		path := (&url.URL{Path: strings.TrimPrefix(s.url, "sqlite:")}).EscapedPath()
		pool, err = driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_pragma=foreign_keys(on)&_txlock=immediate")
	}
	require.NoError(t, err)
	pool.SetMaxOpenConns(4)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// with returns the shop for a subtest.
func (s *shop) with(t tester) *shop {
	narrow := *s
	narrow.t = t
	return &narrow
}

// exec runs SQL as an outside writer. Parameters are $1, $2 in this order on both
// engines.
func (s *shop) exec(query string, args ...any) {
	s.t.Helper()
	_, err := s.raw.Exec(query, args...)
	require.NoError(s.t, err, query)
}

// number reads one whole number.
func (s *shop) number(query string, args ...any) (n int64) {
	s.t.Helper()
	require.NoError(s.t, s.raw.QueryRow(query, args...).Scan(&n), query)
	return n
}

// clock returns SQL for the database's clock, some seconds later.
func (s *shop) clock(seconds int) string {
	if s.kind == postgres {
		return fmt.Sprintf("clock_timestamp() + make_interval(secs => %d)", seconds)
	}
	return fmt.Sprintf("cast(unixepoch('subsec') * 1000000 AS INTEGER) + %d", seconds*1_000_000)
}

// overdue puts the expiry of reservations into the past. It does not sweep them.
func (s *shop) overdue(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		s.exec("UPDATE reservations SET expires_at = "+s.clock(-1)+" WHERE reservation_id = $1", keyOf(id))
	}
}

// allOverdue puts the expiry of all active reservations into the past.
func (s *shop) allOverdue() {
	s.t.Helper()
	s.exec("UPDATE reservations SET expires_at = " + s.clock(-1) + " WHERE state = 'ACTIVE'")
}

// keyOf returns the stored key of a reservation id.
func keyOf(id string) []byte {
	key, err := hex.DecodeString(strings.TrimPrefix(id, "res_"))
	if err != nil {
		panic(err)
	}
	return key
}

// settings changes a product as an outside writer.
func (s *shop) settings(product, assignments string) {
	s.t.Helper()
	s.exec("UPDATE products SET "+assignments+" WHERE product_id = $1", product)
}

// stock adds a product with available quantities: stock("mug", "north", 5, "south", 3).
func (s *shop) stock(product string, levels ...any) {
	s.t.Helper()
	require.NoError(s.t, s.AddCatalogue(context.Background(), database.Catalogue{Products: []models.Product{{ProductID: product}}}))
	set := models.SetStock{Reason: models.ReasonCycleCount}
	for i := 0; i < len(levels); i += 2 {
		set.Rows = append(set.Rows, models.SetRow{
			ProductID: product, LocationID: levels[i].(string), State: models.Available, Quantity: levels[i+1].(int),
		})
	}
	if len(set.Rows) > 0 {
		s.ok(set)
	}
}

var keys atomic.Int64

func newKey() string { return fmt.Sprintf("key-%d", keys.Add(1)) }

func line(product string, quantity int) models.RequestedLine {
	return models.RequestedLine{ProductID: product, Quantity: quantity}
}

func pinned(product string, quantity int, location string) models.RequestedLine {
	return models.RequestedLine{ProductID: product, Quantity: quantity, LocationID: location}
}

func reserve(lines ...models.RequestedLine) models.Reserve {
	return models.Reserve{IdempotencyKey: newKey(), Lines: lines, TTL: reservationTTL}
}

func resolve(id string, to models.ReservationState) models.Resolve {
	return models.Resolve{IdempotencyKey: newKey(), ID: id, To: to}
}

func release(id string) models.Resolve {
	return models.Resolve{ID: id, To: models.ReservationReleased}
}

func adjust(rows ...models.AdjustRow) models.Adjust {
	return models.Adjust{IdempotencyKey: newKey(), Rows: rows, Reason: models.ReasonCorrection}
}

func delta(product, location string, state models.State, n int) models.AdjustRow {
	return models.AdjustRow{ProductID: product, LocationID: location, State: state, Delta: n}
}
