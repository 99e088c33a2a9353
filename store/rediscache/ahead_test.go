package rediscache

import (
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// reported collects what a cache reports as ahead.
type reported struct {
	mu   sync.Mutex
	list []string
}

func (r *reported) add(productID, epoch string, version int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, productID+" "+epoch+" "+strconv.FormatInt(version, 10))
}

func (r *reported) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// onEveryAndCluster is onEvery with a cluster. The client reads and writes the keys
// of every node.
func onEveryAndCluster(t *testing.T, test func(t *testing.T, c *Cache, raw redis.UniversalClient)) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) { test(t, c, raw) })
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		url, _, _ := startCluster(t)
		c := newCache(t, url, CacheConfig{Timeout: generous})
		test(t, c, c.writer)
	})
}

// A write that Redis refuses for its version is reported with the version that is
// there, whatever the write was. The next version after that one wins.
func TestAheadIsReported(t *testing.T) {
	onEveryAndCluster(t, func(t *testing.T, c *Cache, raw redis.UniversalClient) {
		ctx, seen := t.Context(), &reported{}
		c.onAhead = seen.add
		require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", epoch, 5), stockAt("q", epoch, 5)}))
		require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", epoch, 5)}), "again")
		require.NoError(t, raw.HSet(ctx, c.keys.Stock("p"), fieldVersion, 999).Err())
		require.Empty(t, seen.take())

		require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("q", epoch, 6), stockAt("p", epoch, 6)}))
		require.Equal(t, []string{"p epoch-1 999"}, seen.take())
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 6)}, nil))
		require.Equal(t, []string{"p epoch-1 999"}, seen.take())
		require.NoError(t, fill(t, c, epoch, nil, []string{"p"}))
		require.Equal(t, []string{"p epoch-1 999"}, seen.take())
		require.NoError(t, c.ApplyDeletions(ctx, epoch, []models.Change{{ProductID: "p", Version: 7}}))
		require.Equal(t, []string{"p epoch-1 999"}, seen.take())

		require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", epoch, 1000)}))
		require.EqualValues(t, 1000, versionOf(t, c, epoch, "p"))
		require.EqualValues(t, 6, versionOf(t, c, epoch, "q"))
		// A fill whose lease is gone says nothing about versions.
		require.NoError(t, c.Fill(ctx, "another", epoch, []*models.Stock{stockAt("p", epoch, 3)}, nil))
		require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", "epoch-2", 3)}))
		require.Empty(t, seen.take())
	})
}

// absurdVersions are texts that Onhand never writes as a version.
var absurdVersions = []string{
	strconv.Itoa(HashVersionMax + 1), "1767225600000", "9007199254740993", "9223372036854775807", "99999999999999999999999999",
	"-4", "+7", "nan", "inf", "1e300", "0x10", "1.5", " 7", "7 ", "seven", "", "\x00",
}

// Readers do not believe a version that Onhand never writes, and every write
// replaces the hash, whatever it is.
func TestAbsurdVersionsAreReplaced(t *testing.T) {
	onEveryAndCluster(t, func(t *testing.T, c *Cache, raw redis.UniversalClient) {
		ctx, seen := t.Context(), &reported{}
		c.onAhead = seen.add
		for _, absurd := range absurdVersions {
			forge := func(pairs ...any) {
				require.NoError(t, raw.HSet(ctx, c.keys.Stock("p"), append(pairs, fieldVersion, absurd)...).Err())
				require.EqualValues(t, -1, versionOf(t, c, epoch, "p"), "%q", absurd)
			}
			require.NoError(t, raw.Del(ctx, c.keys.Stock("p")).Err())
			require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", epoch, 5)}))
			forge()
			require.NoError(t, c.Apply(ctx, []*models.Stock{stockAt("p", epoch, 6)}))
			require.EqualValues(t, 6, versionOf(t, c, epoch, "p"), "%q", absurd)
			forge(fieldMissing, 1)
			require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 6)}, nil))
			require.EqualValues(t, 6, versionOf(t, c, epoch, "p"), "%q", absurd)
			forge(fieldPublished, absurd)
			unpublished, err := c.Unpublished(ctx, []models.Change{{ProductID: "p", Version: 6}}, epoch)
			require.NoError(t, err)
			require.Equal(t, []string{"p"}, unpublished, "%q", absurd)
		}
		require.Empty(t, seen.take())
	})
}
