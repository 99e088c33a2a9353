package postgres

import (
	"context"
	"database/sql/driver"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/store/database/dialect"
	"onhand/store/database/postgres/timeline"
	"onhand/store/storetest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// The connection that listens leaves a primary that was replaced although it still answers,
// and is refused there.
func TestListenAfterPromotion(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	primary := storetest.PrivatePostgres(t)
	standby, err := storetest.StartReplica(ctx, primary)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	guard := &timeline.Guard{}
	guarded := func(url string) *pgx.ConnConfig {
		config, err := parseConfig(url, guard)
		require.NoError(t, err)
		guard.Install(config)
		config.RuntimeParams["application_name"] = "the administrator" // who may see the timeline
		return config
	}
	engine := &Engine{config: guarded(primary.DSN("postgres")), guard: guard, silentMax: 20 * time.Millisecond}
	woken, ended := make(chan struct{}, 1), make(chan error, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	go func() { ended <- engine.Listen(ctx, wake) }()
	for range 3 { // checks find the only primary good
		select {
		case <-woken:
		case err := <-ended:
			require.NoError(t, err)
		}
	}
	require.NoError(t, standby.Promote(ctx))
	conn, err := pgx.ConnectConfig(ctx, guarded(standby.DSN("postgres")))
	require.NoError(t, err)
	require.NoError(t, conn.Close(ctx))
	require.ErrorIs(t, <-ended, driver.ErrBadConn)
	require.ErrorContains(t, engine.Listen(ctx, wake), "another one was promoted")
}

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
