package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/audit"
)

// findings audits and returns the differences as lines.
func findings(t *testing.T, s *Store) ([]string, audit.Tally) {
	t.Helper()
	lines := []string{}
	tally, err := s.Audit(t.Context(), audit.Options{Settle: time.Minute, Found: func(d audit.Difference) { lines = append(lines, d.String()) }})
	require.NoError(t, err)
	return lines, tally
}

// An audit that runs again and again while thirty-two customers buy, cancel,
// receive and read finds nothing.
func TestAuditBesideTraffic(t *testing.T) {
	const customers, lasting = 32, 4 * time.Second
	onEach(t, func(t *testing.T, s *Store) {
		ids := numbered(40) // few, so that all change all the time
		stockUp(t, s, 100_000, ids...)
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
			lines, _ := findings(t, s)
			require.Empty(t, lines)
			audits++
		}
		wg.Wait()
		lines, tally := findings(t, s)
		require.Empty(t, lines)
		t.Logf("%d writes, %d audits; the last: %s", writes.Load(), audits, tally)
		require.Positive(t, audits)
		require.Greater(t, writes.Load(), int64(customers))
	})
}

// shopOnce is one customer's visit: a reservation of some products that becomes an
// order and perhaps more, a delivery, or a page.
func shopOnce(t *testing.T, s *Store, key string, ids []string) {
	lines := []models.RequestedLine{}
	for _, i := range rand.Perm(len(ids))[:1+rand.IntN(3)] {
		lines = append(lines, models.RequestedLine{ProductID: ids[i], Quantity: 1 + rand.IntN(3)})
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

// An instance audits itself, without a command, and notices when a difference is
// gone.
func TestServerAuditsItself(t *testing.T) {
	t.Parallel()
	for _, c := range compositions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := c.make(t)
			config.AuditInterval, config.RedisTimeout = 10*time.Millisecond, redisPatience
			if strings.HasPrefix(config.DatabaseURL, "sqlite:") { // one that others can open
				config.DatabaseURL = "sqlite:" + filepath.Join(t.TempDir(), "stock.db")
			}
			s := open(t, config)
			raw, err := openRaw(config.DatabaseURL)
			require.NoError(t, err)
			defer raw.Close()
			stockUp(t, s, 5, "x")
			_, err = raw.ExecContext(t.Context(), "UPDATE stock_levels SET reserved = 1")
			require.NoError(t, err)
			eventually(t, func() bool { return measured(t, s)["onhand_audit_last_pass_differences{reserved}"] == 1 })
			require.EqualValues(t, 1, measured(t, s)["onhand_audit_differences_total{reserved}"])
			_, err = raw.ExecContext(t.Context(), "UPDATE stock_levels SET reserved = 0")
			require.NoError(t, err)
			eventually(t, func() bool { return measured(t, s)["onhand_audit_last_pass_differences{reserved}"] == 0 })
		})
	}
}

// openRaw opens a database past the store.
func openRaw(url string) (*sql.DB, error) {
	if path, isSQLite := strings.CutPrefix(url, "sqlite:"); isSQLite {
		return driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_txlock=immediate")
	}
	return sql.Open("pgx", url)
}
