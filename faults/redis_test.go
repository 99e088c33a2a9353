package faults

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connectionsMax is what one copy may open to Postgres, as store/database has it.
const connectionsMax = 16

// TestF01RedisKilled: Redis dies under load and comes back empty. Every page is answered, and the database is not run
// over by those who used to ask Redis.
func TestF01RedisKilled(t *testing.T) {
	s := Open(t, Plan{Shoppers: 6})
	load := s.Load()
	load.More(500)
	s.Must(s.Redis.Kill())
	load.More(500)
	var connections int
	ctx, cancel := s.looking()
	defer cancel()
	require.NoError(t, s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onhand'`).Scan(&connections))
	assert.LessOrEqual(t, connections, len(s.Copies)*(connectionsMax+1), "one more each listens")
	s.Must(s.Redis.Start())
	load.More(500)
	load.Stop()
	assert.Zero(t, load.Pages(0, -1).Failed, "%s", &load.PageCodes)
	assert.Empty(t, load.Codes.String(), "a write needs no Redis")
	s.Check()
}
