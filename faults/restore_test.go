package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// believedLimit is how soon after the restored database is up everybody follows it: the keepers look every second.
const believedLimit = 3 * time.Second

// TestF18DatabaseRestored: the database is lost and an older backup of it takes its place, twice, while Redis, the copies
// and their subscribers know newer versions: the first time nobody asks for anything, the second time customers are there
// from the first moment. Redis and subscribers follow the restored truth, and what customers do in it is decided on it.
func TestF18DatabaseRestored(t *testing.T) {
	s := Open(t, Plan{PrivatePostgres: true, Walkaways: true})
	load := s.Load()
	load.More(300)
	load.Stop()
	s.quiet() // a hold that runs out after the restore would make its product known
	s.Must(s.backUp())
	backedUp, mark := time.Now(), s.History.mark()

	s.lose(t, mark, backedUp)
	s.settles(t)
	load = s.Load()
	load.More(200)
	load.Stop()

	s.lose(t, mark, backedUp)
	load = s.Load()
	load.More(200)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	s.settles(t)
	load = s.Load()
	load.More(200)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}

// lose lets customers write what is about to be lost, sees that Redis and subscribers know of it, and restores the backup.
func (s *Scene) lose(t *testing.T, mark historyMark, backedUp time.Time) {
	t.Helper()
	load := s.Load()
	load.More(300)
	load.Stop()
	require.Empty(t, s.awaitCache(cacheLimit))
	require.Empty(t, s.AwaitWatchers(watchersLimit, s.Subscribers...))
	for _, sub := range s.Subscribers {
		assert.Empty(t, sub.order())
	}
	ctx, cancel := s.looking()
	defer cancel()
	newer, epoch, err := s.truths(ctx)
	require.NoError(t, err)
	s.ahead.end()
	found, back, _ := s.ahead.result()
	s.report("I7", slices.Concat(found, back))

	s.Must(s.restore())
	s.mu.Lock()
	s.outages = append(s.outages, outage{backedUp, time.Now()}) // what fell due in between is due again
	s.mu.Unlock()
	s.History.cut(mark)
	restored, was, err := s.truths(ctx)
	require.NoError(t, err)
	for product, truth := range restored {
		require.Less(t, truth.Version, newer[product].Version, "nothing was lost of %s", product)
	}
	t.Logf("restored: history %.8s… (lost: %.8s…)", was, epoch)
}

// follows waits until the pages of a copy say what the restored database says, with nobody writing.
func (s *Scene) follows(c *Copy) {
	s.t.Helper()
	s.await(believedLimit, c.Name+" shows the restored stock", func() bool {
		ctx, cancel := s.looking()
		defer cancel()
		stored, _, err := s.truths(ctx)
		var data struct {
			Stocks []struct {
				ProductID string
				Version   int64
				Available int
			}
		}
		if err != nil || s.client.Ask(ctx, c.URL(), pageDocument, map[string]any{"ids": s.products}, &data) != nil {
			return false
		}
		for _, stock := range data.Stocks {
			if is := stored[stock.ProductID]; is.Version != stock.Version || is.Available != stock.Available {
				return false
			}
		}
		return true
	})
}

// settles waits until subscribers, pages and Redis say what the restored database says: subscribers first, for whoever
// reads a page makes its products known to them. From there on they are watched again.
func (s *Scene) settles(t *testing.T) {
	t.Helper()
	began := time.Now()
	require.Empty(t, s.AwaitWatchers(believedLimit, s.Subscribers...), "a subscriber stays in the lost history")
	subscribers := time.Since(began)
	for _, c := range s.Copies {
		s.follows(c)
	}
	pages := time.Since(began)
	require.Empty(t, s.awaitCache(believedLimit-time.Since(began)))
	t.Logf("the restored truth reached all subscribers after %s, pages of all copies after %s, Redis after %s",
		subscribers.Round(time.Millisecond), pages.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s: a subscriber need not notice", sub)
		sub.believe()
	}
	s.ahead = s.watchAhead()
}

// backUp copies the database's files while it is down for a moment.
func (s *Scene) backUp() error {
	data, backup, err := s.dataDirectory()
	if err != nil {
		return err
	}
	if err := s.Postgres.Stop(); err != nil {
		return err
	}
	if err := duplicate(data, backup); err != nil {
		return err
	}
	return s.startAnew()
}

// restore puts the copy in the place of the database.
func (s *Scene) restore() error {
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
	if err := duplicate(backup, data); err != nil {
		return err
	}
	return s.startAnew()
}

func (s *Scene) startAnew() error {
	err := s.Postgres.Start()
	s.pool.Reset() // connections to the one before
	return err
}

func (s *Scene) dataDirectory() (data, backup string, err error) {
	ctx, cancel := s.looking()
	defer cancel()
	err = s.pool.QueryRow(ctx, "SHOW data_directory").Scan(&data)
	return data, filepath.Join(filepath.Dir(data), "backup"), err
}

// duplicate copies a directory with its owners and modes.
func duplicate(from, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	if output, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, output)
	}
	return nil
}
