package database_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// While a database refuses connections, or has another name, every call is UNAVAILABLE,
// as with a server that is down. When the database is back, every call works.
func TestClosedForARestore(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "onhand"))
	s := openShop(t, postgres, server.DSN("onhand"))
	s.stock("mug", "north", 10)
	s.raw.SetMaxIdleConns(0)
	admin, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	do := func(statement string) {
		t.Helper()
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	const cut = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'onhand'`

	for _, step := range []struct{ name, begin, end string }{
		{"closed", `ALTER DATABASE onhand ALLOW_CONNECTIONS false`, `ALTER DATABASE onhand ALLOW_CONNECTIONS true`},
		{"elsewhere", `ALTER DATABASE onhand RENAME TO lost`, `ALTER DATABASE lost RENAME TO onhand`},
	} {
		do(`ALTER DATABASE onhand ALLOW_CONNECTIONS false`)
		do(cut)
		do(step.begin)
		for call, ask := range everyCall(s.Database) {
			err := ask(context.Background())
			require.Equal(t, models.CodeUnavailable, models.CodeOf(err), "%s, %s: %v", step.name, call, err)
		}
		do(step.end)
		do(`ALTER DATABASE onhand ALLOW_CONNECTIONS true`)
		for call, ask := range everyCall(s.Database) {
			require.NoError(t, ask(context.Background()), "%s, %s", step.name, call)
		}
	}
}
