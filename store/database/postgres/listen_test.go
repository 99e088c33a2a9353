package postgres

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/store/database/dialect"
)

// The connection that listens is one like those of the pool: guarded where its URL names
// several servers, and with the application's name of the URL.
func TestListenAt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url, name string
		guarded   bool
	}{
		{"postgres://a/shop", "onhand", false},
		{"postgres://a,b/shop", "onhand", true},
		{"postgres://a,b/shop?application_name=listener", "listener", true},
	} {
		_, engine, err := Open("postgres://pooler/shop", slog.New(slog.DiscardHandler), dialect.Switches{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.db.Close() })
		require.NoError(t, engine.ListenAt(test.url))
		require.Equal(t, test.guarded, engine.config.ValidateConnect != nil, test.url)
		require.Equal(t, test.name, engine.config.RuntimeParams["application_name"], test.url)

		_, pool, err := Open(test.url, slog.New(slog.DiscardHandler), dialect.Switches{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = pool.db.Close() })
		require.Equal(t, test.guarded, pool.config.ValidateConnect != nil, test.url)
		require.Equal(t, test.name, pool.config.RuntimeParams["application_name"], test.url)
	}
	_, engine, err := Open("postgres://a/shop", slog.New(slog.DiscardHandler), dialect.Switches{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.db.Close() })
	err = engine.ListenAt("postgres://user:secret@a:port/shop")
	require.ErrorContains(t, err, "database-listen-url")
	require.NotContains(t, err.Error(), "secret")
}
