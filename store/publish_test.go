package store

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/rediscache"
)

// Whatever fails while a commit is published, the callers get their answers.
func TestPublishNeverPanics(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	broken := &publisher{log: slog.New(slog.NewTextHandler(&log, nil))} // with nothing to publish to
	require.NotPanics(t, func() { broken.Publish(t.Context(), models.Outcome{}) })
	require.Contains(t, log.String(), "a commit was not published")
}

// A commit that is expected wakes a Redis of its own, once at a time.
func TestExpectWakesRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	reader, writer, err := rediscache.NewClients("redis://"+server.Addr(), 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()); require.NoError(t, writer.Close()) })
	p := &publisher{cache: rediscache.New(rediscache.CacheConfig{Reader: reader, Writer: writer}), remote: true}
	wakes := func() bool {
		before := server.CommandCount()
		p.Expect()
		p.wakes.Wait()
		return server.CommandCount() > before
	}
	require.True(t, wakes())
	require.True(t, wakes())
	p.waking.Store(true)
	require.False(t, wakes(), "one wakes it already")
	p.waking.Store(false)
	p.muted.Store(true)
	require.False(t, wakes(), "nothing is published")
	p.muted.Store(false)
	p.remote = false
	require.False(t, wakes(), "Redis is in this process")
}
