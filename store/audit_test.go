package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// auditShop is a store, and SQL that goes around it.
type auditShop struct {
	*Store
	t        *testing.T
	postgres bool
	raw      *sql.DB
}

// onEachAudited runs a test on every composition, with a database that can be
// tampered with.
func onEachAudited(t *testing.T, config Config, test func(t *testing.T, s auditShop)) {
	t.Helper()
	t.Parallel()
	config.RedisTimeout = cmp.Or(config.RedisTimeout, redisPatience)
	t.Run("postgres and redis", func(t *testing.T) {
		t.Parallel()
		config := config
		config.DatabaseURL, config.RedisURL = storetest.Postgres(t), storetest.Redis(t).URL()
		raw, err := sql.Open("pgx", config.DatabaseURL)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, raw.Close()) })
		test(t, auditShop{open(t, config), t, true, raw})
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		config := config
		path := filepath.Join(t.TempDir(), "stock.db")
		config.DatabaseURL = "sqlite:" + path
		raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_txlock=immediate")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, raw.Close()) })
		test(t, auditShop{open(t, config), t, false, raw})
	})
}

func (s auditShop) exec(query string, args ...any) {
	s.t.Helper()
	_, err := s.raw.ExecContext(s.t.Context(), query, args...)
	require.NoError(s.t, err, query)
}

// unseen changes levels without their triggers: no ledger row, no version, no
// outbox row.
func (s auditShop) unseen(statements ...string) {
	s.t.Helper()
	if s.postgres {
		tx, err := s.raw.BeginTx(s.t.Context(), nil)
		require.NoError(s.t, err)
		for _, statement := range slices.Concat([]string{"ALTER TABLE stock_levels DISABLE TRIGGER USER"}, statements, []string{"ALTER TABLE stock_levels ENABLE TRIGGER USER"}) {
			_, err := tx.ExecContext(s.t.Context(), statement)
			require.NoError(s.t, err, statement)
		}
		require.NoError(s.t, tx.Commit())
		return
	}
	for _, name := range []string{"stock_levels_updated", "stock_levels_deleted"} {
		var trigger string
		require.NoError(s.t, s.raw.QueryRowContext(s.t.Context(), "SELECT sql FROM sqlite_schema WHERE name = ?", name).Scan(&trigger))
		s.exec("DROP TRIGGER " + name)
		defer s.exec(trigger)
	}
	for _, statement := range statements {
		s.exec(statement)
	}
}

// rewrite changes the ledger, which is append-only.
func (s auditShop) rewrite(statement string) {
	s.t.Helper()
	if s.postgres {
		s.exec("ALTER TABLE ledger_rows DISABLE TRIGGER USER")
		defer s.exec("ALTER TABLE ledger_rows ENABLE TRIGGER USER")
		statement = strings.ReplaceAll(statement, "stock_movements", "ledger_rows")
	} else {
		s.exec("DROP TRIGGER append_only_update")
		s.exec("DROP TRIGGER append_only_delete")
	}
	s.exec(statement)
}

// findings audits and returns the differences as lines.
func (s auditShop) findings(options AuditOptions) ([]string, AuditReport) {
	s.t.Helper()
	lines := []string{}
	options.Found = func(d Difference) { lines = append(lines, d.String()) }
	report, err := s.Audit(s.t.Context(), options)
	require.NoError(s.t, err)
	require.EqualValues(s.t, len(lines), report.Total())
	return lines, report
}

// cached makes sure that Redis has these products as they are.
func (s auditShop) cached(ids ...string) {
	s.t.Helper()
	drained(s.t, s.Store)
	eventually(s.t, func() bool {
		stocks, err := s.Stocks(s.t.Context(), ids)
		return err == nil && !slices.ContainsFunc(stocks, func(stock *models.Stock) bool { return stock.Source != models.FromCache })
	})
}

func (s auditShop) hset(id string, pairs ...any) {
	s.t.Helper()
	require.NoError(s.t, s.clients[0].HSet(s.t.Context(), s.cache.Keys().Stock(id), pairs...).Err())
}

// What is right is found right: levels, ledger, holds of every state and
// Redis, whatever wrote them.
func TestAuditOfARightShop(t *testing.T) {
	onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
		ids := numbered(600) // more than two pages
		stockUp(t, s.Store, 9, ids...)
		s.exec("UPDATE stock_levels SET damaged = 2, incoming = 5, available = 7 WHERE product_id = 'p001'")
		for i, to := range []models.ReservationState{"", models.ReservationCommitted, models.ReservationReleased} {
			held := write(t, s.Store, hold(fmt.Sprint(i), "p001", 2, time.Hour)).Reservation
			if to != "" {
				write(t, s.Store, models.Resolve{IdempotencyKey: "r" + fmt.Sprint(i), ID: held.ID, To: to})
			}
		}
		s.cached("p001", "p002")
		lines, report := s.findings(AuditOptions{Settle: time.Minute})
		require.Empty(t, lines)
		require.EqualValues(t, 600, report.Products)
		require.EqualValues(t, 600, report.Levels)
		require.EqualValues(t, 600+1+3+2, report.Movements)
		require.GreaterOrEqual(t, report.Hashes, int64(2))
		require.True(t, report.Redis)
		require.Zero(t, report.Remaining())
		require.Contains(t, report.String(), "600 products, 600 levels, 606 ledger rows")
		require.Contains(t, report.String(), "no difference")
	})
}

// Every kind of fault in the database is found, named, and left alone.
func TestAuditFindsWhatTheDatabaseHides(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(s auditShop)
		want  []string
	}{
		"a change without a ledger row": {func(s auditShop) {
			s.unseen("UPDATE stock_levels SET available = 8, damaged = 1 WHERE product_id = 'b'")
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 8, its ledger adds up to 5; DAMAGED is 1, its ledger adds up to 0`,
			`ledger_last: "b" at "a": AVAILABLE is 8, its last ledger row says 5; DAMAGED is 1, its last ledger row says 0`,
		}},
		"the same, and a right change after it": {func(s auditShop) {
			s.unseen("UPDATE stock_levels SET available = 8 WHERE product_id = 'b'")
			write(s.t, s.Store, receive("late", "b", 1))
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 9, its ledger adds up to 6`,
			`ledger_chain: "b" at "a": movement 5 does not follow from the one before it`,
		}},
		"a ledger row that is gone": {func(s auditShop) {
			write(s.t, s.Store, receive("late", "b", 1))
			s.rewrite("DELETE FROM stock_movements WHERE product_id = 'b' AND reason = 'RECEIVED'")
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 6, its ledger adds up to 5`,
			`ledger_last: "b" at "a": AVAILABLE is 6, its last ledger row says 5`,
		}},
		"ledger rows that make up for each other": {func(s auditShop) {
			write(s.t, s.Store, receive("late", "b", 1))
			write(s.t, s.Store, receive("later", "b", 1))
			s.rewrite("UPDATE stock_movements SET available_after = 7 WHERE product_id = 'b' AND available_after = 6")
		}, []string{`ledger_chain: "b" at "a": movement 5 does not follow from the one before it`}},
		"a level that is gone": {func(s auditShop) {
			s.unseen("DELETE FROM stock_levels WHERE product_id = 'b'")
		}, []string{
			`ledger_sum: "b" at "a": there is no such level; AVAILABLE is 0, its ledger adds up to 5`,
			`ledger_last: "b" at "a": there is no such level; AVAILABLE is 0, its last ledger row says 5`,
		}},
		"reserved by nobody": {func(s auditShop) {
			s.exec("UPDATE stock_levels SET reserved = 3, available = 2 WHERE product_id = 'b'")
		}, []string{`reserved: "b" at "a": the level has 3 reserved, active holds hold 0`}},
		"a hold that lost its units": {func(s auditShop) {
			write(s.t, s.Store, hold("h", "b", 2, time.Hour))
			s.exec("UPDATE stock_levels SET reserved = 1 WHERE product_id = 'b'")
		}, []string{`reserved: "b" at "a": the level has 1 reserved, active holds hold 2`}},
		"an order that lost its units": {func(s auditShop) {
			held := write(s.t, s.Store, hold("h", "b", 2, time.Hour)).Reservation
			write(s.t, s.Store, models.Resolve{IdempotencyKey: "c", ID: held.ID, To: models.ReservationCommitted})
			s.exec("UPDATE stock_levels SET committed = 0 WHERE product_id = 'b'")
		}, []string{`committed: "b" at "a": the level has 0 committed, open orders hold 2`}},
	} {
		t.Run(name, func(t *testing.T) {
			onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
				stockUp(t, s.Store, 5, "a", "b", "c", "d")
				c.plant(s)
				lines, report := s.findings(AuditOptions{Repair: true, Settle: time.Minute})
				want := slices.Clone(c.want)
				if s.postgres { // where ids go on by 256
					for i := range want {
						want[i] = strings.ReplaceAll(want[i], "movement 5 ", "movement 1025 ")
					}
				}
				require.Equal(t, want, ledgerOnly(lines))
				require.EqualValues(t, len(want), report.Remaining(), "only Redis is mended")
				again, _ := s.findings(AuditOptions{Settle: time.Minute})
				require.Equal(t, want, again)
			})
		})
	}
}

// ledgerOnly leaves out what a change behind the version's back also does to
// Redis.
func ledgerOnly(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "redis_") })
}

// Every kind of fault in Redis is found and named; a repair mends it, and
// changes nothing else.
func TestAuditFindsAndMendsRedis(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(s auditShop)
		want  string
	}{
		"another quantity": {func(s auditShop) { s.hset("b", "quantity", 99) }, `redis_content: "b": version 2 in Redis cannot be believed: quantity is 99, and its levels add up to 5`},
		"other levels": {func(s auditShop) {
			s.hset("b", "quantity", 4, "levels", `[{"location_id":"a","active":true,"priority":1,"available":4}]`)
		}, `redis_content: "b": version 2 has quantity 4 in Redis and 5 in the database, or other levels or settings`},
		"another setting":  {func(s auditShop) { s.hset("b", "low_stock_threshold", 77) }, `redis_content: "b": version 2 has quantity 5 in Redis and 5 in the database, or other levels or settings`},
		"denied":           {func(s auditShop) { s.hset("b", "missing", 1) }, `redis_content: "b": Redis says that version 2 is no product`},
		"no version":       {func(s auditShop) { s.hset("b", "version", "x") }, `redis_content: "b": what lies in Redis cannot be read: it has no version`},
		"an older version": {func(s auditShop) { s.hset("b", "version", 1, "published", 1) }, `redis_behind: "b": Redis has version 1, the database 2`},
		"ahead":            {func(s auditShop) { s.hset("b", "version", 1000, "published", 1000) }, `redis_ahead: "b": Redis has version 1000, the database only 2`},
		"another history":  {func(s auditShop) { s.hset("b", "epoch", "lost") }, `redis_epoch: "b": Redis has version 2 of epoch "lost", the database version 2 of epoch "` + "EPOCH" + `"`},
		"a change not told of": {func(s auditShop) {
			s.unseen("UPDATE stock_levels SET available = 4 WHERE product_id = 'b'")
			s.rewrite("UPDATE stock_movements SET available_after = 4, available_delta = 4 WHERE product_id = 'b'")
		}, `redis_content: "b": version 2 has quantity 5 in Redis and 4 in the database, or other levels or settings`},
	} {
		t.Run(name, func(t *testing.T) {
			onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
				stockUp(t, s.Store, 5, "a", "b", "c", "d")
				s.cached("a", "b", "c", "d")
				c.plant(s)
				want := []string{strings.ReplaceAll(c.want, "EPOCH", s.database.Epoch())}
				lines, report := s.findings(AuditOptions{})
				require.Equal(t, want, lines)
				require.EqualValues(t, 1, report.Remaining())
				lines, report = s.findings(AuditOptions{Repair: true})
				require.Equal(t, want, lines)
				require.EqualValues(t, 1, report.Mended)
				require.Zero(t, report.Remaining())
				require.Contains(t, report.String(), "1 mended in Redis")
				lines, report = s.findings(AuditOptions{})
				require.Empty(t, lines)
				require.EqualValues(t, 4, report.Hashes)
				stock := read(t, s.Store, "b")
				require.Equal(t, models.FromCache, stock.Source)
				require.EqualValues(t, 2, stock.Version)
				// And it goes on from there.
				require.Equal(t, stock.Quantity()+1, write(t, s.Store, receive("later", "b", 1)).Stocks[0].Quantity())
				require.EqualValues(t, 3, read(t, s.Store, "b").Version)
			})
		})
	}
}

// However much is wrong, no more than a bounded part of it is in memory: what
// Redis is suspected of is settled and mended on the way.
func TestAuditKeepsLittleInMemory(t *testing.T) {
	onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
		const products, suspectsMax = 3 * auditPageSize, auditPageSize + 1
		ids := numbered(products)
		stockUp(t, s.Store, 5, ids...)
		drained(t, s.Store)
		quiet(t, s.Store)
		read, err := s.database.ReadStocks(t.Context(), ids)
		require.NoError(t, err)
		eventually(t, func() bool { return s.cache.Apply(t.Context(), read.Stocks) == nil })
		for i, id := range ids {
			s.hset(id, "version", 1+999*(i%2)) // behind and ahead
		}
		s.exec("UPDATE stock_levels SET reserved = 1 WHERE product_id = 'p700'")
		var a *auditor
		peak := 0
		a = newAuditor(s.Store, AuditOptions{Repair: true, Found: func(Difference) { peak = max(peak, len(a.suspects)+len(a.wrong)) }}, true)
		a.suspectsMax, a.stride = suspectsMax, auditPageSize // the reservations are read once for each page
		require.NoError(t, a.walk(t.Context()))
		require.Equal(t, map[AuditKind]int64{AuditRedisBehind: products / 2, AuditRedisAhead: products / 2, AuditReserved: 1}, a.report.Differences)
		require.EqualValues(t, products, a.report.Mended)
		require.Greater(t, peak, auditPageSize)
		require.Less(t, peak, suspectsMax+auditPageSize)
		lines, _ := s.findings(AuditOptions{})
		require.Len(t, lines, 1, "only Redis is mended")
	})
}

// What nobody can read is a difference of its own, and keeps nothing else from
// being audited and mended.
func TestAuditOfABrokenProduct(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	s := auditShop{open(t, Config{DatabaseURL: "sqlite:" + path}), t, false, raw}
	stockUp(t, s.Store, 5, "a", "b", "c")
	s.cached("a", "b", "c")
	s.exec("UPDATE products SET tracked = 'perhaps' WHERE product_id = 'b'")
	s.hset("c", "version", 99)
	lines, report := s.findings(AuditOptions{Settle: time.Minute, Repair: true})
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `unreadable: "b": the database holds what cannot be read`)
	require.Equal(t, `redis_ahead: "c": Redis has version 99, the database only 2`, lines[1])
	require.EqualValues(t, 1, report.Mended)
	require.EqualValues(t, 1, report.Remaining())
}

// A Redis that is only slow to hear of a change is given its time.
func TestAuditWaitsForRedis(t *testing.T) {
	onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
		stockUp(t, s.Store, 5, "b")
		s.cached("b")
		quiet(t, s.Store)
		s.exec("UPDATE stock_levels SET available = 4 WHERE product_id = 'b'") // nobody carries it
		lines, report := s.findings(AuditOptions{})
		require.Equal(t, []string{`redis_behind: "b": Redis has version 2, the database 3`}, lines)
		require.EqualValues(t, 1, report.Waiting)
		require.Contains(t, report.String(), "1 changes wait for a server's relay")

		var waited sync.WaitGroup
		defer waited.Wait()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		waited.Go(func() {
			pause(ctx, 3*auditLookEvery) // the audit is at it; longer is right too
			stocks, err := s.database.ReadStocks(ctx, []string{"b"})
			if err != nil || s.cache.Apply(ctx, stocks.Stocks) != nil {
				t.Error("not told")
			}
		})
		lines, _ = s.findings(AuditOptions{Settle: time.Minute})
		require.Empty(t, lines)
	})
}

// An audit that runs over and over while thirty-two customers buy, cancel,
// receive and count finds nothing to report.
func TestAuditBesideTraffic(t *testing.T) {
	const customers, lasting = 32, 4 * time.Second
	onEachAudited(t, Config{}, func(t *testing.T, s auditShop) {
		ids := numbered(40) // few, so that all are changing all the time
		stockUp(t, s.Store, 100_000, ids...)
		ctx, stop := context.WithTimeout(t.Context(), lasting)
		defer stop()
		var wg sync.WaitGroup
		var writes atomic.Int64
		for customer := range customers {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					shopOnce(t, s, fmt.Sprintf("%d-%d", customer, i), ids)
					writes.Add(1)
				}
			})
		}
		audits := 0
		for ctx.Err() == nil {
			lines, _ := s.findings(AuditOptions{Settle: time.Minute})
			require.Empty(t, lines)
			audits++
		}
		wg.Wait()
		lines, report := s.findings(AuditOptions{Settle: time.Minute})
		require.Empty(t, lines)
		t.Logf("%d writes, %d audits; the last: %s", writes.Load(), audits, report)
		require.Positive(t, audits)
		require.Greater(t, writes.Load(), int64(customers))
	})
}

// shopOnce is one customer's visit: a hold of some products that becomes an
// order and perhaps more, a delivery, or a look.
func shopOnce(t *testing.T, s auditShop, key string, ids []string) {
	lines := []models.Line{}
	for _, i := range rand.Perm(len(ids))[:1+rand.IntN(3)] {
		lines = append(lines, models.Line{ProductID: ids[i], Quantity: 1 + rand.IntN(3)})
	}
	ctx := t.Context()
	if rand.IntN(4) == 0 {
		if _, err := s.Write(ctx, receive("r"+key, lines[0].ProductID, 1)); err != nil {
			t.Error(err)
		}
		if _, err := s.Stocks(ctx, ids); err != nil {
			t.Error(err)
		}
		return
	}
	result, err := s.Write(ctx, models.Reserve{IdempotencyKey: "h" + key, TTL: time.Hour, Lines: lines})
	if err != nil || result.Reservation == nil {
		t.Error(err, result.Errors)
		return
	}
	paths := [][]models.ReservationState{
		{}, {models.ReservationReleased}, {models.ReservationCommitted},
		{models.ReservationCommitted, models.ReservationFulfilled}, {models.ReservationCommitted, models.ReservationCancelled},
	}
	for _, to := range paths[rand.IntN(len(paths))] {
		if _, err := s.Write(ctx, models.Resolve{IdempotencyKey: string(to) + key, ID: result.Reservation.ID, To: to}); err != nil {
			t.Error(err)
		}
	}
}
