package rediscache

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// TestSilentRedis: whatever kind of Redis it is, one that takes connections and
// says nothing costs a caller the time limit, also when many ask at once, and
// then nothing: the breaker is open.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"one": "redis://HOST", "cluster": "redis://HOST,HOST", "sentinel": "redis://HOST?master=m"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := NewClients(strings.ReplaceAll(url, "HOST", storetest.Silent(t)), 0)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, reader.Close()); assert.NoError(t, writer.Close()) })
			c := New(Config{Reader: reader, Writer: writer})
			const callers, busy = 8, 700 * time.Millisecond // less than a dial may take
			began := time.Now()
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					_, err := c.Get(t.Context(), epoch, []string{"p"})
					assert.ErrorIs(t, err, ErrDown)
				})
				group.Go(func() {
					assert.ErrorIs(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}), ErrDown)
				})
				group.Go(func() {
					_, err := c.Watermark(t.Context())
					assert.ErrorIs(t, err, ErrDown)
				})
			}
			group.Wait()
			took := time.Since(began)
			assert.Less(t, took, timeoutDefault+busy)
			assert.False(t, c.Healthy())
		})
	}
}

// TestClientsWaitAsLongAsTheCache: a limit that is longer than usual is kept
// to, not cut short by the clients' own.
func TestClientsWaitAsLongAsTheCache(t *testing.T) {
	t.Parallel()
	const timeout = 3 * readTimeout
	reader, writer, err := NewClients("redis://"+storetest.Silent(t), timeout)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, reader.Close()); assert.NoError(t, writer.Close()) })
	c := New(Config{Reader: reader, Writer: writer, Timeout: timeout})
	for name, ask := range map[string]func() error{
		"read":  func() error { _, err := c.Get(t.Context(), epoch, []string{"p"}); return err },
		"write": func() error { return c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}) },
	} {
		began := time.Now()
		require.ErrorIs(t, ask(), ErrDown, name)
		require.GreaterOrEqual(t, time.Since(began), timeout, name)
	}
}
