package rediscache

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/stockbinary"
)

func TestGet(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		title, limit, most := `Mug "é"`, 40, 6
		restock := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
		full := stockAt("full", epoch, 7)
		full.Title, full.BackorderLimit, full.MaxPerReservation, full.NextRestockAt = &title, &limit, &most, &restock
		full.Buffers = channel.Buffers{"web": 5}
		full.InventoryPolicy = models.Continue
		full.Levels = append(full.Levels, models.Level{ProductID: "full", LocationID: "süd <1>", Priority: 2})
		bare := stockAt("bare", epoch, 3)
		bare.Tracked = false
		bare.Levels = []models.Level{}

		require.NoError(t, fill(t, c, epoch, []*models.Stock{full, nil, bare}, []string{"unknown"}))
		entries, err := c.Get(t.Context(), epoch, []string{"bare", "never", "full", "unknown", "full"})
		require.NoError(t, err)
		require.Equal(t, []Entry{
			{Stock: bare, Known: true}, {}, {Stock: full, Known: true}, {Known: true}, {Stock: full, Known: true},
		}, entries)
		stats := c.Stats()
		require.EqualValues(t, []int64{3, 1, 1}, []int64{stats.Hits, stats.NegativeHits, stats.Misses})

		// Another service may read it with a plain HGETALL.
		hash := raw.HGetAll(t.Context(), "test:inventory:full").Val()
		require.Equal(t, map[string]string{
			"product_id": "full", "quantity": "7", "version": "7", "epoch": epoch, "stock": stockbinary.Encode(full).Stock,
		}, hash)
	})
}

func TestTimesToLive(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("a", epoch, 1)}, []string{"b"}))
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("c", epoch, 1)}))
		for id, ttl := range map[string]time.Duration{"a": hashTTLDefault, "b": negativeTTLDefault, "c": hashTTLDefault} {
			got := raw.PTTL(t.Context(), c.keys.Stock(id)).Val()
			require.InDelta(t, ttl.Seconds(), got.Seconds(), ttl.Seconds()*ttlJitter+4, id) // 4 s for a busy machine
		}
		require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: epoch, Sequence: 1}))
		require.EqualValues(t, -1, raw.TTL(t.Context(), c.keys.Watermark()).Val())
	})
}

func TestRoundTripsOfReads(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		counter := countTrips(t, c)
		for n, want := range map[int]int64{0: 0, 1: 1, 250: 1, PipelineMax: 1, PipelineMax + 1: 2} {
			before := counter.trips.Load()
			entries, err := c.Get(t.Context(), epoch, ids(n))
			require.NoError(t, err)
			require.Len(t, entries, n)
			require.Equal(t, want, counter.trips.Load()-before, "%d ids", n)
		}
	})
}
