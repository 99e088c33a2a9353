package stockfeed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// fakeOutbox is an Outbox in memory.
type fakeOutbox struct {
	mu         sync.Mutex
	rows       []models.Change
	locked     bool
	failCommit bool // the next delete fails after publish, as if the instance had died
	batches    []int
	compacts   atomic.Int64
	listens    atomic.Int64
	ahead      func([]models.Change) []*models.Stock // what is read with announced changes
	listen     func(ctx context.Context, wake func()) error
}

var errCommit = errors.New("commit failed")

func (o *fakeOutbox) add(changes ...models.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows = append(o.rows, changes...)
}

func (o *fakeOutbox) Drain(ctx context.Context, limit int, publish func(context.Context, []models.Change) error) (int, error) {
	o.mu.Lock()
	batch := append([]models.Change(nil), o.rows[:min(limit, len(o.rows))]...)
	if o.locked || len(batch) == 0 {
		o.mu.Unlock()
		return 0, nil
	}
	o.locked = true
	o.mu.Unlock()

	err := publish(ctx, batch)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.locked = false
	if err == nil && o.failCommit {
		o.failCommit, err = false, errCommit
	}
	if err != nil {
		return 0, err
	}
	o.rows = o.rows[len(batch):]
	o.batches = append(o.batches, len(batch))
	return len(batch), nil
}

func (o *fakeOutbox) DrainAnnounced(ctx context.Context, limit int, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	return o.Drain(ctx, limit, func(ctx context.Context, changes []models.Change) error {
		if o.ahead == nil {
			return publish(ctx, changes, nil)
		}
		return publish(ctx, changes, o.ahead(changes))
	})
}

func (o *fakeOutbox) Listen(ctx context.Context, wake func()) error {
	o.listens.Add(1)
	if o.listen == nil {
		return models.ErrNoNotifications
	}
	return o.listen(ctx, wake)
}

func (o *fakeOutbox) Compact(context.Context) error { o.compacts.Add(1); return nil }

func (o *fakeOutbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

func (o *fakeOutbox) empty() bool { return o.len() == 0 }

// fakeCache is a RelayCache that records its calls.
type fakeCache struct {
	mu          sync.Mutex
	down        bool
	published   map[string]int64
	compared    [][]models.Change
	applied     []string
	deleted     []string
	invalidated []string
}

var errDown = errors.New("redis is down")

func newFakeCache() *fakeCache { return &fakeCache{published: make(map[string]int64)} }

func (c *fakeCache) Unpublished(_ context.Context, changes []models.Change, _ string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errDown
	}
	c.compared = append(c.compared, changes)
	var ids []string
	for _, change := range changes {
		if c.published[change.ProductID] < change.Version {
			ids = append(ids, change.ProductID)
		}
	}
	return ids, nil
}

func (c *fakeCache) Apply(_ context.Context, stocks []*models.Stock) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return errDown
	}
	for _, s := range stocks {
		if s.Version > c.published[s.ProductID] {
			c.published[s.ProductID] = s.Version
			c.applied = append(c.applied, fmt.Sprintf("%s@%d", s.ProductID, s.Version))
		}
	}
	return nil
}

func (c *fakeCache) ApplyDeletions(_ context.Context, epoch string, deletions []models.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range deletions {
		c.deleted = append(c.deleted, fmt.Sprintf("%s@%d in %s", d.ProductID, d.Version, epoch))
	}
	return nil
}

func (c *fakeCache) Invalidate(_ context.Context, ids []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invalidated = append(c.invalidated, ids...)
	return nil
}

func (c *fakeCache) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// deliveries is a Deliverer that keeps what it is given. Read it after the
// relay has stopped.
type deliveries struct{ stocks []*models.Stock }

func (d *deliveries) Deliver(stocks []*models.Stock) { d.stocks = append(d.stocks, stocks...) }

// relayConfig is for a relay that polls often.
func relayConfig(o *fakeOutbox, c RelayCache, db *fakeDatabase) RelayConfig {
	return RelayConfig{
		Outbox: o, Cache: c, Stocks: db, Epochs: epochFunc(func() string { return epoch }), Hub: &deliveries{},
		PollInterval: time.Millisecond,
	}
}

func startRelay(t *testing.T, cfg RelayConfig) *Relay {
	t.Helper()
	r := NewRelay(cfg)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(r.Stop)
	<-r.started
	return r
}

func TestRelayDrainsInBatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		for i := range int64(25) {
			db.set("a", i+1)
			o.add(models.Change{ProductID: "a", Version: i + 1})
		}
		cfg := relayConfig(o, c, db)
		cfg.BatchSize = 10
		cfg.PollInterval = time.Hour // the first round drains all
		r := startRelay(t, cfg)
		synctest.Wait()
		require.True(t, o.empty())
		r.Stop()
		require.Equal(t, []int{10, 10, 5}, o.batches)
		require.Equal(t, []string{"a@25"}, c.applied)
	})
}

// TestRelayDiesBetweenApplyAndDelete: the next relay drains the row again and
// publishes nothing twice.
func TestRelayDiesBetweenApplyAndDelete(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{failCommit: true}, newFakeCache(), newFakeDatabase()
		db.set("a", 1)
		o.add(models.Change{ProductID: "a", Version: 1})
		first := startRelay(t, relayConfig(o, c, db))
		synctest.Wait()
		require.Positive(t, first.Stats().Failures)
		first.Stop()
		second := startRelay(t, relayConfig(o, c, db))
		synctest.Wait()
		require.True(t, o.empty())
		second.Stop()
		require.Equal(t, []string{"a@1"}, c.applied)
		require.Len(t, c.compared, 2)
	})
}

func TestRelayWaitsForRedis(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		c.setDown(true)
		var log lockedBuffer
		cfg := relayConfig(o, c, db)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		r := startRelay(t, cfg)
		start := time.Now()
		db.set("a", 1)
		o.add(models.Change{ProductID: "a", Version: 1})
		awaitInBubble(t, func() bool { return r.Stats().Failures >= 4 && o.compacts.Load() >= 2 })
		require.Equal(t, 1, o.len(), "the row is kept")
		require.True(t, r.Stats().Failing)
		require.LessOrEqual(t, o.compacts.Load(), int64(time.Since(start)/compactInterval))
		c.setDown(false)
		awaitInBubble(t, func() bool { return o.empty() && !r.Stats().Failing })
		r.Stop()
		require.Equal(t, []string{"a@1"}, c.applied)
		require.Equal(t, 2, strings.Count(log.String(), "\n"), "one line at the first failure, one when it is over:\n%s", log.String())
	})
}

// TestRelayRetriesNow: RetryNow ends the wait after a failure, without any time
// passing.
func TestRelayRetriesNow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		c.setDown(true)
		db.set("a", 1)
		o.add(models.Change{ProductID: "a", Version: 1})
		r := startRelay(t, relayConfig(o, c, db))
		synctest.Wait()
		require.True(t, r.Stats().Failing)
		c.setDown(false)
		synctest.Wait()
		require.Equal(t, 1, o.len())
		r.RetryNow()
		synctest.Wait()
		require.True(t, o.empty())
	})
}

// TestRelayListens: the relay drains after a notification without waiting for a
// poll, and listens again after the connection was lost.
func TestRelayListens(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		wakes := make(chan func())
		lose := make(chan struct{})
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		o.listen = func(ctx context.Context, wake func()) error {
			wake()
			for {
				select {
				case wakes <- wake:
				case <-lose:
					return errors.New("connection lost")
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		cfg := relayConfig(o, c, db)
		cfg.PollInterval = time.Hour
		r := startRelay(t, cfg)
		for v := int64(1); v <= 3; v++ {
			db.set("a", v)
			o.add(models.Change{ProductID: "a", Version: v})
			(<-wakes)()
			synctest.Wait()
			require.True(t, o.empty())
			require.True(t, r.Stats().Listening)
			require.False(t, r.Stats().Polling)
			if v == 2 {
				lose <- struct{}{}
			}
		}
		require.EqualValues(t, 2, o.listens.Load())
	})
}

func TestRelayPollsWithoutAListener(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func(context.Context, func()) error{
		"no notifications": nil,
		"never connects":   func(context.Context, func()) error { return errors.New("refused") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o, c, db := &fakeOutbox{listen: listen}, newFakeCache(), newFakeDatabase()
				cfg := relayConfig(o, c, db)
				cfg.PollInterval = pollIntervalDefault
				r := startRelay(t, cfg)
				for v := int64(1); v <= 3; v++ {
					db.set("a", v)
					o.add(models.Change{ProductID: "a", Version: v})
					time.Sleep(2 * pollIntervalDefault)
					require.True(t, o.empty())
				}
				require.False(t, r.Stats().Listening)
				require.Equal(t, listen != nil, r.Stats().Polling)
				r.Stop()
				r.Stop()
				require.ErrorIs(t, r.Start(t.Context()), ErrStopped)
			})
		})
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
