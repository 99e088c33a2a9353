package upkeep

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var discard = slog.New(slog.DiscardHandler)

// Work runs about every interval, and at once when it is woken.
func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wake := make(chan struct{}, 1)
		var runs []time.Time
		var done sync.WaitGroup
		began := time.Now()
		done.Go(func() { Every(ctx, time.Second, wake, func(context.Context) { runs = append(runs, time.Now()) }) })
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		require.InDelta(t, 10, len(runs), 1)
		require.GreaterOrEqual(t, runs[0].Sub(began), 900*time.Millisecond, "not at once")
		woken := time.Now()
		wake <- struct{}{}
		synctest.Wait()
		require.Equal(t, woken, runs[len(runs)-1])
		cancel()
		done.Wait()
	})
}

// A claim that was lost with its connection is taken again.
func TestClaimIsRenewed(t *testing.T) {
	t.Parallel()
	s := fixture.Postgres(t)
	claim := &ServingClaim{Database: s.Database, Exclusive: true, Logger: discard}
	admin, err := sql.Open("pgx", s.DatabaseURL)
	require.NoError(t, err)
	defer admin.Close()
	const ours = "FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	claims := func() (n int) {
		require.NoError(t, admin.QueryRowContext(t.Context(), "SELECT count(*) "+ours).Scan(&n))
		return n
	}
	require.NoError(t, claim.Acquire(t.Context()))
	claim.Renew(t.Context())
	require.Equal(t, 1, claims())
	_, err = admin.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) "+ours)
	require.NoError(t, err)
	fixture.Eventually(t, func() bool { return claims() == 0 })
	claim.Renew(t.Context())
	require.Equal(t, 1, claims())
	claim.Release()
	claim.Release()
	fixture.Eventually(t, func() bool { return claims() == 0 })
}

// claimAnswer is a database that answers a claim with an error.
type claimAnswer struct{ err error }

func (a claimAnswer) Claim(context.Context, bool) (*database.Claim, error) {
	return &database.Claim{}, a.err
}

// A claim of another instance refuses the start where this one must be alone, or
// where the lock can be trusted. Elsewhere it is logged once, as is a database that
// was taken over while this instance serves.
func TestClaimRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim   ServingClaim
		err     error
		refused string
		warned  bool
	}{
		"granted":                {ServingClaim{Exclusive: true}, nil, "", false},
		"alone":                  {ServingClaim{Exclusive: true}, database.ErrClaimed, "Without REDIS_URL each process has a Redis of its own", true},
		"shared":                 {ServingClaim{}, database.ErrClaimed, "", true},
		"shared and mandatory":   {ServingClaim{Mandatory: true}, database.ErrClaimed, "with a Redis of its own, which takes changes away", true},
		"a database without":     {ServingClaim{Exclusive: true}, database.ErrNoClaim, "", false},
		"a database that is off": {ServingClaim{Exclusive: true}, models.Unavailable("away", nil), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			claim := c.claim
			claim.Database, claim.Logger = claimAnswer{c.err}, slog.New(slog.NewTextHandler(&log, nil))
			err := claim.Acquire(t.Context())
			if c.refused == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.refused)
				require.ErrorIs(t, err, database.ErrClaimed)
			}
			claim.Renew(t.Context())
			claim.Renew(t.Context())
			warnings := 0
			if c.warned {
				warnings = 1
			}
			require.Equal(t, warnings, bytes.Count(log.Bytes(), []byte("changes may be missed")))
		})
	}
}

// A preload gives up when products are locked for longer than its time.
func TestPreloadGivesUp(t *testing.T) {
	t.Parallel()
	s := fixture.Postgres(t)
	db, err := sql.Open("pgx", s.DatabaseURL)
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE products")
	require.NoError(t, err)
	began := time.Now()
	Preload(t.Context(), s.Database, 50*time.Millisecond, discard)
	require.Less(t, time.Since(began), PreloadTimeout)
}

// sweeps is a database with reservations past their time, and a publisher.
type sweeps struct {
	outcomes  []error // nil: a transaction that committed
	published int
}

func (s *sweeps) ExpireDue(context.Context, int) iter.Seq2[models.Outcome, error] {
	return func(yield func(models.Outcome, error) bool) {
		for _, err := range s.outcomes {
			if !yield(models.Outcome{}, err) {
				return
			}
		}
	}
}

func (s *sweeps) Publish(context.Context, models.Outcome) { s.published++ }

// A sweep publishes each transaction. A reservation that cannot be ended is logged
// and does not end the sweep; a database that is away is not worth a line.
func TestSweep(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &sweeps{outcomes: []error{nil, errors.New("poison"), nil, models.Unavailable("away", nil)}}
	(&Sweeper{Database: s, Publisher: s, Logger: slog.New(slog.NewTextHandler(&log, nil))}).Sweep(t.Context())
	require.Equal(t, 2, s.published)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")))
	require.Contains(t, log.String(), "poison")
}

// failingDirectory fails the first readings.
type failingDirectory struct{ failures int }

func (d *failingDirectory) Directory(context.Context) (*models.Directory, error) {
	if d.failures--; d.failures >= 0 {
		return nil, errors.New("away")
	}
	return models.NewDirectory([]models.Location{{LocationID: "a"}}, nil), nil
}

// A directory that cannot be read stays as it was, and is read at the next turn.
func TestDirectoryIsKept(t *testing.T) {
	t.Parallel()
	c := NewDirectoryCache(&failingDirectory{failures: 1}, discard)
	c.Follow(t.Context(), 1, false)
	require.Empty(t, c.Directory().Locations)
	c.Follow(t.Context(), 1, false)
	require.Len(t, c.Directory().Locations, 1)
}

// keyStore fails to delete.
type keyStore struct{ deletions int }

func (k *keyStore) DeleteOldKeys(context.Context) error {
	k.deletions++
	return errors.New("away")
}

// Old keys that cannot be deleted are no more than a line in the log.
func TestDeleteOldKeys(t *testing.T) {
	t.Parallel()
	k := &keyStore{}
	DeleteOldKeys(t.Context(), k, discard)
	require.Equal(t, 1, k.deletions)
}
