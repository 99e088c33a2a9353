package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/process"
	"onhand/store/storetest"
)

const (
	// epochLimit is how soon after the restored database is up all instances follow it: their epoch checks run every second.
	epochLimit = 3 * time.Second
	// lossMin is what the database loses at least: more than an interval of the epoch check, with its jitter. A loss of less
	// may go unnoticed until the products change, as docs/limits.md says.
	lossMin = 1500 * time.Millisecond
)

// TestF18DatabaseRestored: the database is lost and replaced by an older backup, twice, while Redis, the instances and
// their subscribers have newer versions: the first time no client asks for anything, the second time customers are there
// from the first moment. Redis and subscribers follow the restored database, and so do the decisions.
func TestF18DatabaseRestored(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, ShortReservations: true})
	l := s.Load()
	l.More(300)
	l.Stop()
	s.Checker.AwaitQuiet() // an expiry after the restore would publish its product
	s.Must(s.backUp())
	backedUp, position := time.Now(), s.Target.History.Position()

	s.loseAndRestore(t, position, backedUp, s.restore)
	s.checkFollowed(t)
	l = s.Load()
	l.More(200)
	l.Stop()

	s.loseAndRestore(t, position, backedUp, s.restore)
	l = s.Load()
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.checkFollowed(t)
	l = s.Load()
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// TestF24RestoreDrill: scripts/restore-drill takes a backup and restores it into another database, which the audit finds whole.
// Customers write on. Then that database takes the place of the lost one, under instances that run. Redis, subscribers and
// decisions follow it.
func TestF24RestoreDrill(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, ShortReservations: true})
	l := s.Load()
	l.More(300)
	l.Stop()
	s.Checker.AwaitQuiet() // an expiry after the backup would be another history
	backedUp, position := time.Now(), s.Target.History.Position()
	file := filepath.Join(t.TempDir(), "onhand.dump")
	output, err := s.drill("--keep", "restored", file)
	require.NoError(t, err, output)
	t.Log(output)
	assert.Contains(t, output, "the backup can be restored")
	output, err = s.drill(file) // of the same file, into a database that is dropped
	require.NoError(t, err, output)
	assert.NotContains(t, output, "backup (")
	s.loseAndRestore(t, position, backedUp, s.changeOver)
	s.checkFollowed(t)
	l = s.Load()
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()

	ctx, cancel := reading()
	defer cancel()
	var left int
	require.NoError(t, s.Checker.Database.QueryRow(ctx, "SELECT count(*) FROM pg_database WHERE datname LIKE 'onhand_drill%'").Scan(&left))
	assert.Zero(t, left)
	require.NoError(t, os.WriteFile(file, []byte("no backup"), 0o600))
	output, err = s.drill(file)
	require.Error(t, err)
	assert.Contains(t, output, "restore-drill: restore: failed")
}

// drill runs the script beside the instances.
func (s *Shop) drill(arguments ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join("..", "scripts", "restore-drill"), arguments...)
	command.Env = append(os.Environ(), "DATABASE_URL="+storetest.OwnerAccount(s.databaseURL), "ADMIN_DATABASE_URL="+s.Postgres.DSN("postgres"), "ONHAND="+s.Instances[0].Program)
	raw, err := command.CombinedOutput()
	return string(raw), err
}

// changeOver puts the restored database in the place of the shop's.
func (s *Shop) changeOver() error {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	admin, err := pgx.Connect(ctx, s.Postgres.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close(ctx) }() // nothing is left to lose
	for _, statement := range []string{
		"ALTER DATABASE shop ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'",
		"ALTER DATABASE shop RENAME TO lost",
		"ALTER DATABASE restored RENAME TO shop",
	} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	s.Checker.Database.Reset()
	return nil
}

// loseAndRestore lets customers write what is about to be lost, makes sure that Redis and subscribers have it, and restores
// the backup.
func (s *Shop) loseAndRestore(t *testing.T, position model.Position, backedUp time.Time, restore func() error) {
	t.Helper()
	l := s.Load()
	l.More(100)
	l.During(lossMin)
	l.More(100)
	l.Stop()
	require.Empty(t, s.Checker.AwaitCache(checker.CacheLimit))
	require.Empty(t, s.Checker.AwaitSubscribers(checker.SubscribersLimit, s.Subscribers...))
	for _, sub := range s.Subscribers {
		assert.Empty(t, sub.Misordered())
	}
	ctx, cancel := reading()
	defer cancel()
	lost, lostEpoch, err := s.Checker.Stored(ctx)
	require.NoError(t, err)
	s.Checker.EndMonitor()

	s.Must(restore())
	s.Checker.Outages.Add(backedUp, time.Now()) // what was due in between is due again
	s.Target.History.Truncate(position)
	restored, epoch, err := s.Checker.Stored(ctx)
	require.NoError(t, err)
	for product, state := range restored {
		require.Less(t, state.Version, lost[product].Version, "nothing was lost of %s", product)
	}
	t.Logf("restored: epoch %.8s… (lost: %.8s…)", epoch, lostEpoch)
}

// checkFollowed waits until subscribers, pages and Redis have what the restored database has: subscribers first, because a
// page that is read makes its products known to them. From then on the cache monitor runs again.
func (s *Shop) checkFollowed(t *testing.T) {
	t.Helper()
	began := time.Now()
	require.Empty(t, s.Checker.AwaitSubscribers(epochLimit, s.Subscribers...), "a subscriber stays in the lost epoch")
	subscribers := time.Since(began)
	for _, i := range s.Instances {
		s.awaitRestored(i)
	}
	pages := time.Since(began)
	require.Empty(t, s.Checker.AwaitCache(epochLimit-time.Since(began)))
	t.Logf("the restored state reached all subscribers after %s, pages of all instances after %s, Redis after %s",
		subscribers.Round(time.Millisecond), pages.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s: a subscriber must not notice", sub)
		sub.KeepLatest()
	}
	s.Checker.StartMonitor()
}

// awaitRestored waits until the pages of an instance show what the restored database has, while no client writes.
func (s *Shop) awaitRestored(i *process.Instance) {
	s.t.Helper()
	s.Await(epochLimit, i.Name+" shows the restored stock", func() bool {
		ctx, cancel := reading()
		defer cancel()
		stored, _, err := s.Checker.Stored(ctx)
		var page load.PageData
		if err != nil || s.Target.Client.Ask(ctx, i.URL(), load.PageDocument, map[string]any{"ids": s.Target.Products}, &page) != nil {
			return false
		}
		for _, stock := range page.Stocks {
			if is := stored[stock.ProductID]; is.Version != stock.Version || is.Available != stock.Available {
				return false
			}
		}
		return true
	})
}

// backUp copies the database's files while it is stopped for a moment.
func (s *Shop) backUp() error {
	data, backup, err := s.dataDirectory()
	if err != nil {
		return err
	}
	if err := s.Postgres.Stop(); err != nil {
		return err
	}
	if err := copyDirectory(data, backup); err != nil {
		return err
	}
	return s.startAgain()
}

// restore replaces the database by the backup.
func (s *Shop) restore() error {
	data, backup, err := s.dataDirectory()
	if err != nil {
		return err
	}
	if err := s.Postgres.Abort(); err != nil {
		return err
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := copyDirectory(backup, data); err != nil {
		return err
	}
	return s.startAgain()
}

func (s *Shop) startAgain() error {
	err := s.Postgres.Start()
	s.Checker.Database.Reset() // its connections are those of the database before
	return err
}

func (s *Shop) dataDirectory() (data, backup string, err error) {
	ctx, cancel := reading()
	defer cancel()
	err = s.Checker.Database.QueryRow(ctx, "SHOW data_directory").Scan(&data)
	return data, filepath.Join(filepath.Dir(data), "backup"), err
}

// copyDirectory copies a directory with its owners and modes.
func copyDirectory(from, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	if output, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, output)
	}
	return nil
}
