package stockfeed

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestPoisonRowDoesNotBlockTheOutbox: a product with a poison row, with more
// outbox rows than a batch has, delays no other product. The relay invalidates
// it once, logs one line, and publishes it after the row is repaired.
func TestPoisonRowDoesNotBlockTheOutbox(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		for i := range int64(20) {
			o.add(models.Change{ProductID: "poison", Version: i + 1})
		}
		db.set("poison", 20)
		db.set("a", 1)
		o.add(models.Change{ProductID: "a", Version: 1})
		db.setPoison("poison", true)
		var log lockedBuffer
		cfg := relayConfig(o, c, db)
		cfg.BatchSize = 5
		cfg.PollInterval = pollIntervalDefault
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		r := startRelay(t, cfg)
		synctest.Wait()
		require.True(t, o.empty())
		require.EqualValues(t, 1, r.Stats().Published)
		require.EqualValues(t, 1, r.Stats().PoisonProducts)
		calls := db.calls.Load()
		awaitInBubble(t, func() bool { return db.calls.Load() > calls+2 })
		require.Equal(t, []string{"poison"}, c.invalidated)
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		db.setPoison("poison", false)
		awaitInBubble(t, func() bool { return r.Stats().PoisonProducts == 0 })
		r.Stop()
		require.Equal(t, []string{"a@1", "poison@20"}, c.applied)
		require.Empty(t, c.deleted)
		require.Zero(t, r.Stats().Failures)
	})
}

// TestRelayKeepsRowsBeyondThePoisonBound: with more poison products than the
// bound, the other changes stay in the outbox.
func TestRelayKeepsRowsBeyondThePoisonBound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o, c, db := &fakeOutbox{}, newFakeCache(), newFakeDatabase()
		for i := range poisonProductsMax + 1 {
			id := fmt.Sprint("p", i)
			db.set(id, 1)
			db.setPoison(id, true)
			o.add(models.Change{ProductID: id, Version: 1})
		}
		cfg := relayConfig(o, c, db)
		cfg.BatchSize = 500
		r := startRelay(t, cfg)
		synctest.Wait()
		require.Positive(t, r.Stats().Failures)
		r.Stop()
		require.EqualValues(t, poisonProductsMax, r.Stats().PoisonProducts)
		require.Equal(t, 1, o.len())
	})
}
