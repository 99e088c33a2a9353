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
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/backoff"
)

// outbox stands for the database's outbox: rows are claimed, carried, deleted.
type outbox struct {
	mu       sync.Mutex
	rows     []models.Change
	claimed  bool
	lose     bool // the next commit fails after carry: the carrier died
	batches  []int
	compacts atomic.Int64
	listens  atomic.Int64
	listen   func(ctx context.Context, wake func()) error
}

var errCommit = errors.New("commit failed")

func (o *outbox) add(changes ...models.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows = append(o.rows, changes...)
}

func (o *outbox) Carry(ctx context.Context, limit int, carry func(context.Context, []models.Change) error) (int, error) {
	o.mu.Lock()
	batch := append([]models.Change(nil), o.rows[:min(limit, len(o.rows))]...)
	if o.claimed || len(batch) == 0 {
		o.mu.Unlock()
		return 0, nil
	}
	o.claimed = true
	o.mu.Unlock()

	err := carry(ctx, batch)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.claimed = false
	if err == nil && o.lose {
		o.lose, err = false, errCommit
	}
	if err != nil {
		return 0, err
	}
	o.rows = o.rows[len(batch):]
	o.batches = append(o.batches, len(batch))
	return len(batch), nil
}

func (o *outbox) Listen(ctx context.Context, wake func()) error {
	o.listens.Add(1)
	if o.listen == nil {
		return ErrNoListen
	}
	return o.listen(ctx, wake)
}

func (o *outbox) Compact(context.Context) error { o.compacts.Add(1); return nil }

func (o *outbox) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

func (o *outbox) empty() bool { return o.left() == 0 }

// record stands for the cache: it keeps published versions and what was asked.
type record struct {
	mu        sync.Mutex
	down      bool
	published map[string]int64
	behind    [][]models.Change
	applied   []string
}

var errDown = errors.New("redis is away")

func newRecord() *record { return &record{published: make(map[string]int64)} }

func (c *record) Behind(_ context.Context, changes []models.Change, _ string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errDown
	}
	c.behind = append(c.behind, changes)
	var ids []string
	for _, change := range changes {
		if c.published[change.ProductID] < change.Version {
			ids = append(ids, change.ProductID)
		}
	}
	return ids, nil
}

func (c *record) Apply(_ context.Context, stocks []*models.Stock) error {
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

func (c *record) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// relayOf makes a relay that polls often, so that tests need no wake-up.
func relayOf(o *outbox, c RelayCache, db *shop) RelayConfig {
	return RelayConfig{
		Outbox: o, Cache: c, Read: db.readStocks, Epoch: func() string { return epoch },
		PollInterval: time.Millisecond,
	}
}

func startRelay(t *testing.T, cfg RelayConfig) *Relay {
	t.Helper()
	r := NewRelay(cfg)
	r.compactEvery = 10 * time.Millisecond
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(r.Stop)
	<-r.Started()
	return r
}

func TestRelayCarriesOnlyWhatIsBehind(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	c.published["told"] = 5
	db.set("told", 5)
	db.set("a", 3)
	db.set("b", 7)
	o.add(models.Change{ProductID: "a", Version: 1}, models.Change{ProductID: "told", Version: 5},
		models.Change{ProductID: "a", Version: 3}, models.Change{ProductID: "b", Version: 6},
		models.Change{ProductID: "a", Version: 2})
	var offered []*models.Stock
	cfg := relayOf(o, c, db)
	cfg.Offer = func(stocks []*models.Stock) { offered = append(offered, stocks...) }
	r := startRelay(t, cfg)
	require.Eventually(t, o.empty, soon, tick)
	r.Stop()
	require.Equal(t, [][]models.Change{{{ProductID: "a", Version: 3}, {ProductID: "told", Version: 5}, {ProductID: "b", Version: 6}}}, c.behind)
	require.Equal(t, []string{"a@3", "b@7"}, c.applied)
	require.EqualValues(t, 2, db.reads.Load())
	require.Len(t, offered, 2)
	require.Equal(t, RelayStats{Carried: 5, Applied: 2}, r.Stats())
}

func TestRelayDrainsInBatches(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	for i := range int64(25) {
		db.set("a", i+1)
		o.add(models.Change{ProductID: "a", Version: i + 1})
	}
	cfg := relayOf(o, c, db)
	cfg.Batch = 10
	cfg.PollInterval = time.Hour // the first round takes all
	r := startRelay(t, cfg)
	require.Eventually(t, o.empty, soon, tick)
	r.Stop()
	require.Equal(t, []int{10, 10, 5}, o.batches)
	require.Equal(t, []string{"a@25"}, c.applied)
}

// TestRelayDiesBetweenApplyAndDelete: the change is carried twice, to no harm.
func TestRelayDiesBetweenApplyAndDelete(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{lose: true}, newRecord(), newShop()
	db.set("a", 1)
	o.add(models.Change{ProductID: "a", Version: 1})
	first := startRelay(t, relayOf(o, c, db))
	require.Eventually(t, func() bool { return first.Stats().Failures > 0 }, soon, tick)
	first.Stop()
	second := startRelay(t, relayOf(o, c, db))
	require.Eventually(t, o.empty, soon, tick)
	second.Stop()
	require.Equal(t, []string{"a@1"}, c.applied)
	require.Len(t, c.behind, 2)
}

func TestRelayWaitsForRedis(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	c.setDown(true)
	var log lockedBuffer
	cfg := relayOf(o, c, db)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	r := startRelay(t, cfg)
	db.set("a", 1)
	o.add(models.Change{ProductID: "a", Version: 1})
	require.Eventually(t, func() bool { return r.Stats().Failures >= 4 }, soon, tick)
	require.Equal(t, 1, o.left(), "the row is kept")
	require.True(t, r.Stats().Failing)
	require.Positive(t, o.compacts.Load())
	require.LessOrEqual(t, o.compacts.Load(), r.Stats().Failures)
	c.setDown(false)
	require.Eventually(t, o.empty, soon, tick)
	require.Eventually(t, func() bool { return !r.Stats().Failing }, soon, tick)
	r.Stop()
	require.Equal(t, []string{"a@1"}, c.applied)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), "one line when it fails, one when it is over:\n%s", log.String())
}

// Who is told that Redis is back does not wait for its next turn.
func TestRelayTriesAgainWhenTold(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	c.setDown(true)
	r := NewRelay(relayOf(o, c, db))
	r.retry = backoff.Backoff{Min: time.Hour, Max: time.Hour}
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(r.Stop)
	db.set("a", 1)
	o.add(models.Change{ProductID: "a", Version: 1})
	require.Eventually(t, func() bool { return r.Stats().Failing }, soon, tick)
	c.setDown(false)
	require.Equal(t, 1, o.left())
	r.TryAgain()
	require.Eventually(t, o.empty, soon, tick)
}

func TestRelayTellsOfDeletedProducts(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	db.set("a", 2)
	o.add(models.Change{ProductID: "gone", Version: 4}, models.Change{ProductID: "a", Version: 2})
	cfg := relayOf(o, c, db)
	var gone []models.Change
	cfg.Forget = func(_ context.Context, e string, changes []models.Change) error {
		gone = append(gone, changes...)
		if e != epoch {
			t.Errorf("epoch %q", e)
		}
		return nil
	}
	r := startRelay(t, cfg)
	require.Eventually(t, o.empty, soon, tick)
	r.Stop()
	require.Equal(t, []models.Change{{ProductID: "gone", Version: 4}}, gone)
	require.Equal(t, []string{"a@2"}, c.applied)
}

// TestRelayPutsAsideWhatCannotBeRead: one broken product, changed more often
// than a batch is long, holds up nobody. Redis forgets it at once, the log has
// one line, and it is carried when it can be read.
func TestRelayPutsAsideWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	for i := range int64(20) {
		o.add(models.Change{ProductID: "broken", Version: i + 1})
	}
	db.set("broken", 20)
	db.set("a", 1)
	o.add(models.Change{ProductID: "a", Version: 1})
	db.breakProduct("broken", true)
	var log lockedBuffer
	var dropped lockedBuffer
	cfg := relayOf(o, c, db)
	cfg.Batch = 5
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Drop = func(_ context.Context, ids []string) error {
		_, err := fmt.Fprint(&dropped, ids)
		return err
	}
	cfg.Forget = func(_ context.Context, _ string, gone []models.Change) error {
		return fmt.Errorf("forgot %v", gone)
	}
	r := NewRelay(cfg)
	r.parked.waitMin = time.Millisecond
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(r.Stop)
	require.Eventually(t, func() bool { return o.empty() && r.Stats().Applied == 1 }, soon, tick)
	require.EqualValues(t, 1, r.Stats().Parked)
	asked := db.asked.Load()
	require.Eventually(t, func() bool { return db.asked.Load() > asked+2 }, soon, tick)
	require.Equal(t, "[broken]", dropped.String())
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	db.breakProduct("broken", false)
	require.Eventually(t, func() bool { return r.Stats().Parked == 0 }, soon, tick)
	r.Stop()
	require.Equal(t, []string{"a@1", "broken@20"}, c.applied)
	require.Zero(t, r.Stats().Failures)
}

// TestRelayKeepsRowsBeyondTheParkingBound: so much that cannot be read is a
// broken database. Its changes wait in the outbox.
func TestRelayKeepsRowsBeyondTheParkingBound(t *testing.T) {
	t.Parallel()
	o, c, db := &outbox{}, newRecord(), newShop()
	for i := range parkedMax + 1 {
		id := fmt.Sprint("p", i)
		db.set(id, 1)
		db.breakProduct(id, true)
		o.add(models.Change{ProductID: id, Version: 1})
	}
	cfg := relayOf(o, c, db)
	cfg.Batch = 500
	r := startRelay(t, cfg)
	require.Eventually(t, func() bool { return r.Stats().Failures > 0 }, soon, tick)
	r.Stop()
	require.EqualValues(t, parkedMax, r.Stats().Parked)
	require.Equal(t, 1, o.left())
}

// TestRelayListens: a notification is carried at once; a lost listener is
// renewed, and polling goes on meanwhile.
func TestRelayListens(t *testing.T) {
	t.Parallel()
	wakes := make(chan func())
	lose := make(chan struct{})
	o, c, db := &outbox{}, newRecord(), newShop()
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
	cfg := relayOf(o, c, db)
	cfg.PollInterval = time.Hour
	r := startRelay(t, cfg)
	for v := int64(1); v <= 3; v++ {
		db.set("a", v)
		o.add(models.Change{ProductID: "a", Version: v})
		(<-wakes)()
		require.Eventually(t, o.empty, soon, tick)
		require.True(t, r.Stats().Listening)
		if v == 2 {
			lose <- struct{}{}
		}
	}
	require.EqualValues(t, 2, o.listens.Load())
}

func TestRelayPollsWithoutAListener(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func(context.Context, func()) error{
		"no notifications": nil,
		"never connects":   func(context.Context, func()) error { return errors.New("refused") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, c, db := &outbox{listen: listen}, newRecord(), newShop()
			r := startRelay(t, relayOf(o, c, db))
			for v := int64(1); v <= 3; v++ {
				db.set("a", v)
				o.add(models.Change{ProductID: "a", Version: v})
				require.Eventually(t, o.empty, soon, tick)
			}
			require.False(t, r.Stats().Listening)
			r.Stop()
			r.Stop()
			require.ErrorIs(t, r.Start(t.Context()), ErrStopped)
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
