package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// Behind a pooler that lends each transaction another connection, writes, reads and pages
// work, two instances start, and outside changes arrive by polling. Health and metrics say
// that there are no notifications.
func TestBehindAPooler(t *testing.T) {
	t.Parallel()
	direct := storetest.Postgres(t)
	_, through := storetest.Pooler(t, direct)
	redis := storetest.Redis(t).ServerURL()
	config := Config{DatabaseURL: through, RedisURL: redis, RedisTimeout: redisPatience}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	eventually(t, func() bool { stock := read(t, two, "x"); return stock != nil && stock.Quantity() == 5 })
	reserved := write(t, one, reserve("r", "x", 2, time.Hour))
	require.NotNil(t, reserved.Reservation)
	require.True(t, write(t, two, reserve("r", "x", 2, time.Hour)).Replayed)
	write(t, two, models.Resolve{IdempotencyKey: "c", ID: reserved.Reservation.ID, To: models.ReservationCommitted})

	watch, err := one.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	require.NoError(t, outside(t, direct).Exec("UPDATE stock_levels SET available = 7 WHERE product_id = 'x'").Error)
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 7 })
	require.Zero(t, measured(t, one)["onhand_relay_listening"])
	require.True(t, one.Health(t.Context()).Polling)

	for _, notified := range []Config{{DatabaseURL: direct}, {DatabaseURL: through, ListenURL: storetest.ServerAccount(direct)}} {
		notified.RedisURL, notified.RedisTimeout = redis, redisPatience
		s := open(t, notified)
		eventually(t, func() bool { return !s.Health(t.Context()).Polling })
	}
}
