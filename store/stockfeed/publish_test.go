package stockfeed

import (
	"context"
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

// announcing is an outbox whose changes are announced by a message on wake.
func announcing(wake <-chan struct{}) *fakeOutbox {
	return &fakeOutbox{listen: func(ctx context.Context, call func()) error {
		for {
			select {
			case <-wake:
				call()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
}

// TestRelayAppliesWhatIsAnnounced: stock that was read with the announced changes is
// applied and delivered; neither Redis nor the database is asked. What is missing, older
// than its change or of another epoch is published as polling would.
func TestRelayAppliesWhatIsAnnounced(t *testing.T) {
	for name, test := range map[string]struct {
		read    []*models.Stock
		compare int
	}{
		"as of the changes": {[]*models.Stock{stockAt("a", epoch, 2), stockAt("b", epoch, 9)}, 0},
		"missing":           {[]*models.Stock{stockAt("a", epoch, 2)}, 1},
		"older":             {[]*models.Stock{stockAt("a", epoch, 1), stockAt("b", epoch, 9)}, 1},
		"another epoch":     {[]*models.Stock{stockAt("a", "before", 2), stockAt("b", epoch, 9)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				wake := make(chan struct{})
				o, c, db := announcing(wake), newFakeCache(), newFakeDatabase()
				o.ahead = func([]models.Change) []*models.Stock { return test.read }
				delivered := &deliveries{}
				cfg := relayConfig(o, c, db)
				cfg.Hub = delivered
				r := startRelay(t, cfg)
				synctest.Wait()
				db.set("a", 2)
				db.set("b", 9)
				o.add(models.Change{ProductID: "a", Version: 2}, models.Change{ProductID: "b", Version: 8})
				wake <- struct{}{}
				synctest.Wait()
				require.True(t, o.empty())
				r.Stop()
				require.Len(t, c.compared, test.compare)
				require.EqualValues(t, test.compare, db.calls.Load())
				require.Equal(t, []string{"a@2", "b@9"}, c.applied)
				require.Len(t, delivered.stocks, 2)
				require.Equal(t, RelayStats{Drained: 2, Published: 2}, r.Stats())
			})
		})
	}
}

// TestRelayKeepsWhatIsAnnounced: announced changes stay in the outbox while Redis is down,
// but watches of this instance get them.
func TestRelayKeepsWhatIsAnnounced(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		wake := make(chan struct{})
		o, c, db := announcing(wake), newFakeCache(), newFakeDatabase()
		o.ahead = func([]models.Change) []*models.Stock { return []*models.Stock{stockAt("a", epoch, 2)} }
		delivered := &deliveries{}
		cfg := relayConfig(o, c, db)
		cfg.Hub = delivered
		r := startRelay(t, cfg)
		synctest.Wait()
		c.setDown(true)
		o.add(models.Change{ProductID: "a", Version: 2})
		wake <- struct{}{}
		synctest.Wait()
		require.False(t, o.empty())
		require.Len(t, delivered.stocks, 1)
		c.setDown(false)
		db.set("a", 2)
		awaitInBubble(t, o.empty)
		r.Stop()
		require.Equal(t, []string{"a@2"}, c.applied)
	})
}
