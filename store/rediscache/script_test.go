package rediscache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/storetest"
)

// write is one write in a permutation.
type write struct {
	version int64
	apply   bool
}

func permutations(writes []write) [][]write {
	if len(writes) < 2 {
		return [][]write{slices.Clone(writes)}
	}
	var all [][]write
	for i := range writes {
		rest := append(slices.Clone(writes[:i]), writes[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]write{writes[i]}, p...))
		}
	}
	return all
}

// TestNewestWinsInEveryOrder runs fills and applies of three versions in all
// 720 orders, one product each. The newest version stays, versions are published
// once and in order, and the field "published" has the last one.
func TestNewestWinsInEveryOrder(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		orders := permutations([]write{{1, false}, {2, false}, {3, false}, {1, true}, {2, true}, {3, true}})
		require.Len(t, orders, 720)
		names := ids(len(orders))
		published := subscribe(t, raw, c.keys.StockChannel("*"))
		newest, last := make([]int64, len(orders)), make([]int64, len(orders))
		want := make(map[string][]int64)
		for nth := range orders[0] {
			var fills, applies []*models.Stock
			for i, order := range orders {
				s := order[nth]
				if !s.apply {
					fills = append(fills, stockAt(names[i], epoch, s.version))
				} else {
					applies = append(applies, stockAt(names[i], epoch, s.version))
					if s.version >= newest[i] && s.version > last[i] {
						last[i] = s.version
						want[names[i]] = append(want[names[i]], s.version)
					}
				}
				newest[i] = max(newest[i], s.version)
			}
			require.NoError(t, fill(t, c, epoch, fills, nil))
			require.NoError(t, c.Apply(t.Context(), applies))
			entries, err := c.Get(t.Context(), epoch, names)
			require.NoError(t, err)
			for i, entry := range entries {
				require.Equal(t, newest[i], entry.Stock.Version, "%v", orders[i])
				require.EqualValues(t, newest[i], entry.Stock.Quantity(), "%v", orders[i])
			}
		}
		got := make(map[string][]int64)
		for _, payload := range published() {
			s, err := stockbinary.DecodeMessage(payload)
			require.NoError(t, err)
			got[s.ProductID] = append(got[s.ProductID], s.Version)
		}
		require.Equal(t, want, got)
		for _, id := range names {
			require.Equal(t, "3", raw.HGet(t.Context(), c.keys.Stock(id), fieldPublished).Val())
		}
	})
}

// TestStaleFill: a reader misses and reads version 1, a writer applies version
// 2, and the reader fills.
func TestStaleFill(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		read := stockAt("p", epoch, 1)
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
		require.NoError(t, fill(t, c, epoch, []*models.Stock{read}, nil))
		require.NoError(t, fill(t, c, epoch, nil, []string{"p"}))
		require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
		require.Equal(t, "2", raw.HGet(t.Context(), c.keys.Stock("p"), fieldPublished).Val())
		// A fill of the same version keeps the field "published".
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 2)}, nil))
		require.Equal(t, "2", raw.HGet(t.Context(), c.keys.Stock("p"), fieldPublished).Val())
		// A fill of a newer version removes it: that version was not published.
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 3)}, nil))
		require.False(t, raw.HExists(t.Context(), c.keys.Stock("p"), fieldPublished).Val())
	})
}

func TestVersionsNeverFallUnderConcurrentWrites(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		const writers, versions = 8, 40
		var group sync.WaitGroup
		errs := make(chan error, writers)
		for range writers {
			group.Go(func() {
				for _, v := range rand.Perm(versions) {
					stock := []*models.Stock{stockAt("p", epoch, int64(v+1))}
					write := func() error { return c.Apply(t.Context(), stock) }
					// A fill whose lease another one has taken writes nothing, so the last version is published.
					if v+1 < versions && rand.IntN(2) == 0 {
						write = func() error { return fill(t, c, epoch, stock, nil) }
					}
					if err := write(); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		stop := make(chan struct{})
		checked := make(chan error, 1)
		go func() {
			last := int64(-1)
			for {
				entries, err := c.Get(t.Context(), epoch, []string{"p"})
				if err == nil && entries[0].Stock != nil {
					if v := entries[0].Stock.Version; v < last {
						err = fmt.Errorf("version fell from %d to %d", last, v)
					} else {
						last = v
					}
				}
				select {
				case <-stop:
					checked <- err
					return
				default:
				}
				if err != nil {
					checked <- err
					return
				}
			}
		}()
		group.Wait()
		close(stop)
		require.NoError(t, <-checked)
		close(errs)
		require.NoError(t, <-errs)
		require.EqualValues(t, versions, versionOf(t, c, epoch, "p"))
	})
}

func TestAnotherEpochIsAMissAndIsReplaced(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", "old", 900)}))
		require.NoError(t, fill(t, c, "old", nil, []string{"q"}))
		require.EqualValues(t, -1, versionOf(t, c, "new", "p"))
		require.EqualValues(t, -1, versionOf(t, c, "new", "q"))
		unpublished, err := c.Unpublished(t.Context(), []models.Change{{ProductID: "p", Version: 5}}, "new")
		require.NoError(t, err)
		require.Equal(t, []string{"p"}, unpublished)

		published := subscribe(t, raw, c.keys.StockChannel("p"))
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", "new", 5)}))
		require.EqualValues(t, 5, versionOf(t, c, "new", "p"))
		require.EqualValues(t, -1, versionOf(t, c, "old", "p"))
		require.Len(t, published(), 1)

		// A fill of another epoch also replaces the hash, and is not published.
		require.NoError(t, fill(t, c, "newer", []*models.Stock{stockAt("p", "newer", 2)}, nil))
		require.EqualValues(t, 2, versionOf(t, c, "newer", "p"))
		require.False(t, raw.HExists(t.Context(), c.keys.Stock("p"), fieldPublished).Val())
	})
}

func TestTheFirstVersionReplacesANegativeEntry(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, fill(t, c, epoch, nil, []string{"p"}))
		require.Equal(t, map[string]string{"product_id": "p", "version": "0", "epoch": epoch, "missing": "1"},
			raw.HGetAll(t.Context(), c.keys.Stock("p")).Val())
		require.EqualValues(t, 0, versionOf(t, c, epoch, "p"))
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}))
		require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))
		require.NoError(t, fill(t, c, epoch, nil, []string{"p"}))
		require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))
	})
}

func TestApplyDeletionsReplacesADeletedProduct(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 4), stockAt("q", epoch, 9)}))
		require.NoError(t, c.ApplyDeletions(t.Context(), epoch, []models.Change{{ProductID: "p", Version: 5}, {ProductID: "q", Version: 8}}))
		require.EqualValues(t, 0, versionOf(t, c, epoch, "p"))
		require.EqualValues(t, 9, versionOf(t, c, epoch, "q"), "newer than the deletion")
		require.Len(t, raw.HGetAll(t.Context(), c.keys.Stock("p")).Val(), 4)
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 4)}))
		require.EqualValues(t, 0, versionOf(t, c, epoch, "p"), "a late apply does not bring it back")
	})
}

func TestScriptsAreLoadedAgainAfterAFlush(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		counter := countTrips(t, c)
		stocks := []*models.Stock{stockAt("a", epoch, 1), stockAt("b", epoch, 1)}
		for _, want := range []int64{2, 1, 1} { // the first call loads the script
			before := counter.trips.Load()
			require.NoError(t, c.Apply(t.Context(), stocks))
			require.Equal(t, want, counter.trips.Load()-before)
		}
		require.NoError(t, raw.ScriptFlush(t.Context()).Err())
		stocks[0].Version, stocks[0].Levels[0].Available = 2, 2
		require.NoError(t, c.Apply(t.Context(), stocks))
		require.EqualValues(t, 2, versionOf(t, c, epoch, "a"))
		require.EqualValues(t, 1, versionOf(t, c, epoch, "b"))
	})
}

func TestRoundTripsOfWrites(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		require.NoError(t, fill(t, c, epoch, nil, []string{"load the script"}))
		counter := countTrips(t, c)
		const n = ScriptsMax
		stocks := make([]*models.Stock, n)
		changes := make([]models.Change, n)
		for i, id := range ids(n) {
			stocks[i] = stockAt(id, epoch, 1)
			changes[i] = models.Change{ProductID: id, Version: 1}
		}
		lease, err := c.Lease(t.Context(), ids(n))
		require.NoError(t, err)
		require.EqualValues(t, 1, counter.trips.Load())
		require.NoError(t, c.Fill(t.Context(), lease, epoch, stocks, nil))
		require.EqualValues(t, 2, counter.trips.Load())
		require.NoError(t, c.Apply(t.Context(), stocks))
		require.EqualValues(t, 3, counter.trips.Load())
		unpublished, err := c.Unpublished(t.Context(), changes, epoch)
		require.NoError(t, err)
		require.Empty(t, unpublished)
		require.EqualValues(t, 4, counter.trips.Load())
		require.NoError(t, c.PublishReservations(t.Context(), ids(PipelineMax)))
		require.EqualValues(t, 5, counter.trips.Load())
		require.NoError(t, c.Fill(t.Context(), lease, epoch, stocks, []string{"one more"}))
		require.EqualValues(t, 7, counter.trips.Load())
		require.NoError(t, c.Apply(t.Context(), nil))
		require.EqualValues(t, 7, counter.trips.Load())
	})
}

// TestOutOfMemoryRemovesTheOlderValue: a write for which Redis has no memory
// removes the hash, publishes all the same, and returns an error. The circuit
// breaker stays closed.
func TestOutOfMemoryRemovesTheOlderValue(t *testing.T) {
	t.Parallel()
	url := storetest.Redis(t).URL()
	c, raw := newCache(t, url, CacheConfig{Timeout: generous}), rawClient(t, url)
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1), stockAt("q", epoch, 1)}))
	published := subscribe(t, raw, c.keys.StockChannel("p"))
	require.NoError(t, raw.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	require.NoError(t, raw.ConfigSet(t.Context(), "maxmemory", "1mb").Err())

	err := c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)})
	require.ErrorContains(t, err, "OOM")
	require.NotErrorIs(t, err, ErrDown)
	require.EqualValues(t, -1, versionOf(t, c, epoch, "p"))
	require.EqualValues(t, 1, versionOf(t, c, epoch, "q"))
	require.Len(t, published(), 1)
	require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 2)}, []string{"r"}), "without memory for the lease nothing is filled")
	require.EqualValues(t, -1, versionOf(t, c, epoch, "r"))
	for range 2 * failuresMax {
		require.Error(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
	}
	require.True(t, c.Healthy())

	require.NoError(t, raw.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(1<<30)).Err())
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
	require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
}

// commandNames has the names of the commands of pipelines, in their order.
type commandNames struct {
	tripCounter
	names []string
}

func (h *commandNames) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			h.names = append(h.names, command.Name())
		}
		return next(ctx, commands)
	}
}

// Redis answers another command before it publishes, whatever that answer is. Fills
// publish nothing.
func TestAnswerBeforePublishing(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("a", epoch, 1)})) // loads the script
		h := &commandNames{}
		c.writer.AddHook(h)
		require.NoError(t, raw.Set(t.Context(), c.keys.Stock("b"), "text", 0).Err())
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("b", epoch, 1), stockAt("a", epoch, 2)}))
		require.Equal(t, []string{"hget", "evalsha", "evalsha"}, h.names)
		require.EqualValues(t, 1, versionOf(t, c, epoch, "b"))
		require.EqualValues(t, 2, versionOf(t, c, epoch, "a"))
		h.names = nil
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("c", epoch, 1)}, nil))
		require.NotContains(t, h.names, "hget")
	})
}

// Wake has no effect but a round trip, none while Redis is away.
func TestWake(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		published := subscribe(t, raw, c.keys.StockChannel("*"))
		counter := countTrips(t, c)
		c.Wake(t.Context()) // the script is not loaded
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("a", epoch, 1)}))
		before := counter.trips.Load()
		c.Wake(t.Context())
		require.Equal(t, before+1, counter.trips.Load())
		require.Len(t, published(), 1)
		require.Equal(t, []string{c.keys.Stock("a")}, raw.Keys(t.Context(), "*").Val())
		c.breaker = openBreaker()
		c.Wake(t.Context())
		require.Equal(t, before+1, counter.trips.Load())
	})
}

// openBreaker is a circuit breaker that is open.
func openBreaker() *gobreaker.CircuitBreaker[struct{}] {
	b := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{ReadyToTrip: func(gobreaker.Counts) bool { return true }})
	_, _ = b.Execute(func() (struct{}, error) { return struct{}{}, ErrDown })
	return b
}
