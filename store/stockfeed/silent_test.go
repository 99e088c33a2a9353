package stockfeed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// TestSilentRedisAtStart: a Redis that takes the connection and says nothing
// keeps neither watchers nor the end of the hub waiting.
func TestSilentRedisAtStart(t *testing.T) {
	t.Parallel()
	db := newShop()
	db.set("a", 1)
	cfg := quick(db)
	cfg.ConfirmTimeout = 50 * time.Millisecond
	h := startHubAlone(t, storetest.Silent(t), cfg)
	began := time.Now()
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	require.Less(t, time.Since(began), soon/2)
	require.False(t, h.Connected())
	began = time.Now()
	h.Stop()
	require.Less(t, time.Since(began), commandTimeout+time.Second)
}
