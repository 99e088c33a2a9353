package stockfeed

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// The hub says that the directory may have changed with every message, and with every
// connection, because messages before it are gone.
func TestDirectoryMessages(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		var calls atomic.Int64
		cfg := hubConfig(newFakeDatabase())
		cfg.OnDirectory = func() { calls.Add(1) }
		startHub(t, s.ServerURL(), cfg)
		raw := clientOf(t, s.Addr())
		called := func(n int64) {
			t.Helper()
			require.Eventually(t, func() bool { return calls.Load() >= n }, soon, tick)
		}
		called(1)
		require.NoError(t, raw.Publish(t.Context(), channels{}.DirectoryChannel(), "").Err())
		called(2)
		require.NoError(t, s.Kill())
		require.NoError(t, s.Start())
		called(3)
	})
}

// Repeat returns the latest stocks once more, and does nothing for a closed watch.
func TestRepeat(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		db.set("a", 1)
		h := startHub(t, s.ServerURL(), hubConfig(db))
		w, other := watch(t, h, "a", "unknown"), watch(t, h, "a")
		require.EqualValues(t, 1, nextVersion(t, w))
		require.EqualValues(t, 1, nextVersion(t, other))
		w.Repeat()
		require.EqualValues(t, 1, nextVersion(t, w))
		h.Deliver([]*models.Stock{stockAt("a", epoch, 2)})
		w.Repeat()
		require.EqualValues(t, 2, nextVersion(t, w))
		requireEmpty(t, w)
		require.EqualValues(t, 2, nextVersion(t, other))
		requireEmpty(t, other)
		w.Close()
		w.Repeat()
	})
}
