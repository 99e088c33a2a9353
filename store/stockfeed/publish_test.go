package stockfeed

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestRelayPublishesOnlyTheUnpublished: it compares the latest version of each
// product, and reads, applies and delivers those that Redis has not published.
func TestRelayPublishesOnlyTheUnpublished(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		c.published["published"] = 5
		db.set("published", 5)
		db.set("a", 3)
		db.set("b", 7)
		o.add(models.Change{ProductID: "a", Version: 1}, models.Change{ProductID: "published", Version: 5},
			models.Change{ProductID: "a", Version: 3}, models.Change{ProductID: "b", Version: 6},
			models.Change{ProductID: "a", Version: 2})
		delivered := &deliveries{}
		cfg := relayConfig(o, c, db)
		cfg.Hub = delivered
		r := startRelay(t, cfg)
		synctest.Wait()
		require.True(t, o.empty())
		r.Stop()
		require.Equal(t, [][]models.Change{{{ProductID: "a", Version: 3}, {ProductID: "published", Version: 5}, {ProductID: "b", Version: 6}}}, c.compared)
		require.Equal(t, []string{"a@3", "b@7"}, c.applied)
		require.EqualValues(t, 2, db.products.Load())
		require.Len(t, delivered.stocks, 2)
		require.Equal(t, RelayStats{Drained: 5, Published: 2}, r.Stats())
	})
}

func TestRelayPublishesDeletions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		db.set("a", 2)
		o.add(models.Change{ProductID: "gone", Version: 4}, models.Change{ProductID: "a", Version: 2})
		r := startRelay(t, relayConfig(o, c, db))
		synctest.Wait()
		require.True(t, o.empty())
		r.Stop()
		require.Equal(t, []string{"gone@4 in " + epoch}, c.deleted)
		require.Equal(t, []string{"a@2"}, c.applied)
	})
}
