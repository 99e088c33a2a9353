package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/rediscache"
	"onhand/store/storetest/fixture"
)

// The audit of a shop where all is right finds nothing: levels, ledger,
// reservations of every state and Redis, whatever wrote them.
func TestAuditOfARightShop(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 9, fixture.Numbered(600)...) // more than two pages
		s.exec("UPDATE stock_levels SET damaged = 2, incoming = 5, available = 7 WHERE product_id = 'p001'")
		for i, to := range []models.ReservationState{"", models.ReservationCommitted, models.ReservationReleased} {
			reserved := s.Write(t, fixture.Reserve(fmt.Sprint(i), "p001", 2, time.Hour)).Reservation
			if to != "" {
				s.Write(t, models.Resolve{IdempotencyKey: "r" + fmt.Sprint(i), ID: reserved.ID, To: to})
			}
		}
		s.Drain(t)
		lines, tally := s.findings(Options{Settle: time.Minute})
		require.Empty(t, lines)
		require.EqualValues(t, 600, tally.Products)
		require.EqualValues(t, 600, tally.Levels)
		require.EqualValues(t, 600+1+3+2, tally.Movements)
		require.EqualValues(t, 600, tally.Hashes)
		require.True(t, tally.Redis)
		require.Zero(t, tally.Remaining())
		require.Contains(t, tally.String(), "600 products, 600 levels, 606 ledger rows, 600 products in Redis")
		require.Contains(t, tally.String(), "no difference")
	})
}

// Every kind of fault in the database is found, named, and left alone.
func TestAuditFindsFaultsInTheDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(s auditedStack)
		want  []string
	}{
		"a change without a ledger row": {func(s auditedStack) {
			s.pastTriggers("UPDATE stock_levels SET available = 8, damaged = 1 WHERE product_id = 'b'")
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 8, its ledger adds up to 5; DAMAGED is 1, its ledger adds up to 0`,
			`ledger_last: "b" at "a": AVAILABLE is 8, its last ledger row says 5; DAMAGED is 1, its last ledger row says 0`,
		}},
		"the same, and a right change after it": {func(s auditedStack) {
			s.pastTriggers("UPDATE stock_levels SET available = 8 WHERE product_id = 'b'")
			s.Write(s.t, fixture.Receive("late", "b", 1))
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 9, its ledger adds up to 6`,
			`ledger_chain: "b" at "a": movement 5 does not follow from the one before it`,
		}},
		"a ledger row that is missing": {func(s auditedStack) {
			s.Write(s.t, fixture.Receive("late", "b", 1))
			s.rewriteLedger("DELETE FROM stock_movements WHERE product_id = 'b' AND reason = 'RECEIVED'")
		}, []string{
			`ledger_sum: "b" at "a": AVAILABLE is 6, its ledger adds up to 5`,
			`ledger_last: "b" at "a": AVAILABLE is 6, its last ledger row says 5`,
		}},
		"ledger rows that make up for each other": {func(s auditedStack) {
			s.Write(s.t, fixture.Receive("late", "b", 1))
			s.Write(s.t, fixture.Receive("later", "b", 1))
			s.rewriteLedger("UPDATE stock_movements SET available_after = 7 WHERE product_id = 'b' AND available_after = 6")
		}, []string{`ledger_chain: "b" at "a": movement 5 does not follow from the one before it`}},
		"a level that is missing": {func(s auditedStack) {
			s.pastTriggers("DELETE FROM stock_levels WHERE product_id = 'b'")
		}, []string{
			`ledger_sum: "b" at "a": there is no such level; AVAILABLE is 0, its ledger adds up to 5`,
			`ledger_last: "b" at "a": there is no such level; AVAILABLE is 0, its last ledger row says 5`,
		}},
		"reserved without a reservation": {func(s auditedStack) {
			s.exec("UPDATE stock_levels SET reserved = 3, available = 2 WHERE product_id = 'b'")
		}, []string{`reserved: "b" at "a": the level has 3 reserved, active reservations have 0`}},
		"a reservation that lost its units": {func(s auditedStack) {
			s.Write(s.t, fixture.Reserve("h", "b", 2, time.Hour))
			s.exec("UPDATE stock_levels SET reserved = 1 WHERE product_id = 'b'")
		}, []string{`reserved: "b" at "a": the level has 1 reserved, active reservations have 2`}},
		"an order that lost its units": {func(s auditedStack) {
			reserved := s.Write(s.t, fixture.Reserve("h", "b", 2, time.Hour)).Reservation
			s.Write(s.t, models.Resolve{IdempotencyKey: "c", ID: reserved.ID, To: models.ReservationCommitted})
			s.exec("UPDATE stock_levels SET committed = 0 WHERE product_id = 'b'")
		}, []string{`committed: "b" at "a": the level has 0 committed, open orders have 2`}},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, s auditedStack) {
				s.StockUp(t, 5, "a", "b", "c", "d")
				c.plant(s)
				want := slices.Clone(c.want)
				if s.postgres { // there movement ids are multiples of 256, plus one
					for i := range want {
						want[i] = strings.ReplaceAll(want[i], "movement 5 ", "movement 1025 ")
					}
				}
				lines, tally := s.findings(Options{Repair: true})
				require.Equal(t, want, inDatabase(lines))
				require.EqualValues(t, len(want), tally.Remaining(), "only Redis is repaired")
				again, _ := s.findings(Options{})
				require.Equal(t, want, again)
			})
		})
	}
}

// inDatabase leaves out what a change past the triggers also does to Redis.
func inDatabase(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "redis_") })
}

// Every kind of fault in Redis is found and named. A repair mends it and changes
// nothing else. Where readers believed the hash, what they get next is newer.
func TestAuditRepairsRedis(t *testing.T) {
	for name, c := range map[string]struct {
		plant   func(s auditedStack)
		want    string
		version int64 // after the repair
	}{
		"another quantity": {func(s auditedStack) { s.setHash("b", "quantity", 99) }, `redis_content: "b": version 2 in Redis contradicts itself: decode stock: the checksum is wrong, because another program has changed a field`, 2},
		"other levels": {func(s auditedStack) {
			s.alterHash("b", func(stock *models.Stock) { stock.Levels[0].Available = 4 })
		}, `redis_content: "b": version 2 has quantity 4 in Redis and 5 in the database, or other levels or settings`, 3},
		"another setting": {func(s auditedStack) {
			s.alterHash("b", func(stock *models.Stock) { stock.LowStockThreshold = 77 })
		}, `redis_content: "b": version 2 has quantity 5 in Redis and 5 in the database, or other levels or settings`, 3},
		"denied":           {func(s auditedStack) { s.setHash("b", "missing", 1) }, `redis_content: "b": Redis says that version 2 is no product`, 3},
		"no version":       {func(s auditedStack) { s.setHash("b", "version", "x") }, `redis_content: "b": the hash in Redis cannot be read: it has no version that a reader believes: "x"`, 2},
		"an older version": {func(s auditedStack) { s.setHash("b", "version", 1, "published", 1) }, `redis_behind: "b": Redis has version 1, the database 2`, 2},
		"ahead":            {func(s auditedStack) { s.setHash("b", "version", 1000, "published", 1000) }, `redis_ahead: "b": Redis has version 1000, the database only 2`, 1001},
		"the last version": {func(s auditedStack) { s.setHash("b", "version", rediscache.HashVersionMax) }, fmt.Sprintf(`redis_ahead: "b": Redis has version %d, the database only 2`, rediscache.HashVersionMax), 2},
		"another type": {func(s auditedStack) {
			require.NoError(s.t, s.Redis.Set(s.t.Context(), s.Cache.Keys().Stock("b"), "5", 0).Err())
		}, `redis_content: "b": the hash in Redis cannot be read: WRONGTYPE Operation against a key holding the wrong kind of value`, 2},
		"another epoch": {func(s auditedStack) { s.setHash("b", "epoch", "lost") }, `redis_epoch: "b": Redis has version 2 of epoch "lost", the database version 2 of epoch "` + "EPOCH" + `"`, 2},
		"a change that was not published": {func(s auditedStack) {
			s.pastTriggers("UPDATE stock_levels SET available = 4 WHERE product_id = 'b'")
			s.rewriteLedger("UPDATE stock_movements SET available_after = 4, available_delta = 4 WHERE product_id = 'b'")
		}, `redis_content: "b": version 2 has quantity 5 in Redis and 4 in the database, or other levels or settings`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, s auditedStack) {
				s.StockUp(t, 5, "a", "b", "c", "d")
				c.plant(s)
				want := []string{strings.ReplaceAll(c.want, "EPOCH", s.Epoch(t))}
				lines, tally := s.findings(Options{})
				require.Equal(t, want, lines)
				require.EqualValues(t, 1, tally.Remaining())
				lines, tally = s.findings(Options{Repair: true})
				require.Equal(t, want, lines)
				require.EqualValues(t, 1, tally.Repaired)
				require.Zero(t, tally.Remaining())
				require.Contains(t, tally.String(), "1 repaired in Redis")
				lines, tally = s.findings(Options{})
				require.Empty(t, lines)
				require.EqualValues(t, 4, tally.Hashes)
				stock := cached(t, s, "b")
				require.Equal(t, c.version, stock.Version)
				// And later changes follow from it.
				require.Equal(t, stock.Quantity()+1, s.Write(t, fixture.Receive("later", "b", 1)).Stocks[0].Quantity())
				require.Equal(t, c.version+1, cached(t, s, "b").Version)
			})
		})
	}
}

// cached reads a product from Redis.
func cached(t *testing.T, s auditedStack, id string) *models.Stock {
	t.Helper()
	entries, err := s.Cache.Get(t.Context(), s.Epoch(t), []string{id})
	require.NoError(t, err)
	require.NotNil(t, entries[0].Stock)
	return entries[0].Stock
}

// However much is wrong, memory has a bounded part of it: suspects settle and are
// repaired on the way.
func TestAuditKeepsLittleInMemory(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		const products, suspectsMax = 3 * pageSize, pageSize + 1
		ids := fixture.Numbered(products)
		s.StockUp(t, 5, ids...)
		for i, id := range ids {
			s.setHash(id, "version", 1+999*(i%2)) // behind and ahead
		}
		s.exec("UPDATE stock_levels SET reserved = 1 WHERE product_id = 'p700'")
		var a *auditor
		peak := 0
		a = newAuditor(s.subjects(), Options{Repair: true, Found: func(Difference) { peak = max(peak, len(a.suspects)+len(a.wrong)) }})
		a.suspectsMax, a.reservationSpanMin = suspectsMax, pageSize // the reservations are read once for each page
		require.NoError(t, a.walk(t.Context()))
		require.Equal(t, map[DifferenceKind]int64{RedisBehind: products / 2, RedisAhead: products / 2, Reserved: 1}, a.tally.Differences)
		require.EqualValues(t, products, a.tally.Repaired)
		require.Greater(t, peak, pageSize)
		require.Less(t, peak, suspectsMax+pageSize)
		lines, _ := s.findings(Options{})
		require.Len(t, lines, 1, "only Redis is repaired")
	})
}

// A row that cannot be read is a difference of its own, and all other products
// are audited and repaired.
func TestAuditOfAPoisonRow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	s := tamperWith(t, fixture.SQLite(t, path))
	raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer raw.Close()
	s.StockUp(t, 5, "a", "b", "c")
	_, err = raw.ExecContext(t.Context(), "UPDATE products SET tracked = 'perhaps' WHERE product_id = 'b'")
	require.NoError(t, err)
	s.setHash("c", "version", 99)
	lines, tally := s.findings(Options{Repair: true})
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `unreadable: "b": the database has a row that cannot be read`)
	require.Equal(t, `redis_ahead: "c": Redis has version 99, the database only 2`, lines[1])
	require.EqualValues(t, 1, tally.Repaired)
	require.EqualValues(t, 1, tally.Remaining())
}

// lateCache is a Redis that misses a change until it was looked at some times.
type lateCache struct {
	*rediscache.Cache
	looks int
	late  func() // called before the third look
}

func (c *lateCache) Inspect(ctx context.Context, ids []string) ([]rediscache.Inspection, error) {
	if c.looks++; c.looks == 3 {
		c.late()
	}
	return c.Cache.Inspect(ctx, ids)
}

// Redis is given its time to catch up with a change.
func TestAuditWaitsForRedis(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "b")
		s.Drain(t)
		s.exec("UPDATE stock_levels SET available = 4 WHERE product_id = 'b'") // no relay drains it
		lines, tally := s.findings(Options{})
		require.Equal(t, []string{`redis_behind: "b": Redis has version 2, the database 3`}, lines)
		require.EqualValues(t, 1, tally.OutboxRows)
		require.Contains(t, tally.String(), "1 changes wait for a server's relay")

		cache := &lateCache{Cache: s.Cache, late: func() { s.Drain(t) }}
		subjects := s.subjects()
		subjects.Redis = cache
		tally, err := Run(t.Context(), subjects, Options{Settle: time.Minute})
		require.NoError(t, err)
		require.Zero(t, tally.Total())
		require.Equal(t, 3, cache.looks, "it waited")
	})
}

// busyCache is a Redis that fails some looks.
type busyCache struct {
	*rediscache.Cache
	failures int
}

func (c *busyCache) Inspect(ctx context.Context, ids []string) ([]rediscache.Inspection, error) {
	if c.failures > 0 {
		c.failures--
		return nil, errors.New("busy")
	}
	return c.Cache.Inspect(ctx, ids)
}

// A busy Redis is asked again; one that is gone ends the audit. Without Redis, the
// database is audited alone.
func TestAuditOfABusyRedis(t *testing.T) {
	onEach(t, func(t *testing.T, s auditedStack) {
		s.StockUp(t, 5, "b")
		subjects := s.subjects()
		cache := &busyCache{Cache: s.Cache, failures: redisTriesMax - 1}
		subjects.Redis = cache
		tally, err := Run(t.Context(), subjects, Options{})
		require.NoError(t, err)
		require.EqualValues(t, 1, tally.Hashes)

		cache.failures = redisTriesMax
		tally, err = Run(t.Context(), subjects, Options{})
		require.ErrorContains(t, err, "compare redis and database: busy")
		require.EqualValues(t, 1, tally.Levels)

		subjects.Redis = nil
		tally, err = Run(t.Context(), subjects, Options{})
		require.NoError(t, err)
		require.False(t, tally.Redis)
		require.Contains(t, tally.String(), "Redis is inside the server and was not compared")
	})
}
