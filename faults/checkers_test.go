package faults

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/faults/process"
	"onhand/models/stockbinary"
)

// TestPlantedRaceIsFound tests the checkers: two instances of a server that reads levels without locking them lose
// updates. What is on hand still adds up at the end; the history shows it.
func TestPlantedRaceIsFound(t *testing.T) {
	s := Open(t, Setup{Short: true, BuildTag: process.PlantedRace, Opening: map[string]int{"cup": 500}, Shoppers: -1, Subscribers: -1})
	l := s.Load()
	l.More(400)
	l.Stop()
	ctx, cancel := reading()
	defer cancel()
	totals, err := s.Checker.EndTotals(ctx, s.Checker.Database)
	require.NoError(t, err)
	assert.Empty(t, totals, "end totals are expected to miss the race")
	operations, err := s.Checker.Operations()
	require.NoError(t, err)
	illegal, err := model.Linearizable(s.setup.Opening, operations)
	require.NoError(t, err)
	require.Contains(t, illegal, "cup", "the race was not found in %d operations", len(operations))
	shown, err := os.ReadFile(illegal["cup"])
	require.NoError(t, err)
	assert.Contains(t, string(shown), "customer", "the file that shows the history")
	require.NoError(t, os.Remove(illegal["cup"]))
}

// TestCheckersFind breaks a healthy shop in one way at a time, without its triggers. The check for it must find it, and
// must find nothing before.
func TestCheckersFind(t *testing.T) {
	s := Open(t, Setup{Short: true, Opening: map[string]int{"cup": 300, "mug": 300}, Shoppers: -1, Subscribers: -1})
	l := s.Load()
	l.More(200)
	l.Stop()
	s.Check()

	for name, corruption := range checker.Corruptions {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, s.findingsAfter(t, corruption.Statement), corruption.Finds)
		})
	}
	t.Run("I3", func(t *testing.T) {
		writes := s.Target.History.Acknowledged()[:1]
		require.True(t, writes[0].Done)
		require.Empty(t, s.Checker.RepeatFaults(writes))
		writes[0].Answer += "other"
		assert.Len(t, s.Checker.RepeatFaults(writes), 1)
		writes[0].Done = false
		assert.Len(t, s.Checker.RepeatFaults(writes), 1, "refused, and its key is bound")
		require.Empty(t, s.Customer(0).Reserve(map[string]int{"cup": 400}, load.LongTTL).ID)
		writes = s.Target.History.Acknowledged()
		writes = writes[len(writes)-1:]
		require.False(t, writes[0].Done)
		require.Empty(t, s.Checker.RepeatFaults(writes), "a refused key is free")
		writes[0].Done = true
		assert.Len(t, s.Checker.RepeatFaults(writes), 1)
	})
	t.Run("I7", func(t *testing.T) { s.checkRedisCorruptions(t) })
}

// findingsAfter runs a statement without triggers, reports what the checks find, and rolls back.
func (s *Shop) findingsAfter(t *testing.T, statement string) string {
	ctx, cancel := reading()
	defer cancel()
	tx, err := s.Checker.Database.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }() // the connection is reset if that fails
	require.Empty(t, s.Checker.DatabaseFaults(ctx, tx))
	_, err = tx.Exec(ctx, "SET LOCAL session_replication_role = replica")
	require.NoError(t, err)
	tag, err := tx.Exec(ctx, statement)
	require.NoError(t, err)
	require.Positive(t, tag.RowsAffected())
	totals, err := s.Checker.EndTotals(ctx, tx)
	require.NoError(t, err)
	return strings.Join(append(s.Checker.DatabaseFaults(ctx, tx), totals...), "\n")
}

// checkRedisCorruptions writes to Redis what the database never had.
func (s *Shop) checkRedisCorruptions(t *testing.T) {
	ctx, cancel := reading()
	defer cancel()
	require.Empty(t, s.Checker.CacheFaults())
	m := &checker.CacheMonitor{}
	m.Compare(ctx, s.Checker)
	require.Equal(t, checker.Findings{Comparisons: 1}, m.Findings())

	cup, mug := checker.CacheKey("cup"), checker.CacheKey("mug")
	raise := func(by int64) {
		hash, err := s.Checker.Cache.HGetAll(ctx, cup).Result()
		require.NoError(t, err)
		stock, err := checker.DecodeStock(hash)
		require.NoError(t, err)
		stock.Version += by
		f := stockbinary.Encode(stock)
		require.NoError(t, s.Checker.Cache.HSet(ctx, cup, "version", f.Version, "stock", f.Stock).Err())
	}
	raise(100)
	m.Compare(ctx, s.Checker)
	raise(-100)
	m.Compare(ctx, s.Checker)
	assert.Len(t, m.Findings().Ahead, 1)
	assert.Len(t, m.Findings().Back, 1)

	old, err := s.Checker.Cache.HGetAll(ctx, mug).Result()
	require.NoError(t, err)
	require.NotEmpty(t, s.Customer(0).Reserve(map[string]int{"mug": 1}, load.LongTTL).ID)
	require.Empty(t, s.Checker.CacheFaults())
	require.NoError(t, s.Checker.Cache.HSet(ctx, mug, old).Err())
	assert.NotEmpty(t, s.Checker.CacheFaults(), "an old value")
}
