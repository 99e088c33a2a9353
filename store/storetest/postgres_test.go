package storetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func query(t *testing.T, dsn, statement string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), databaseLimit)
	defer cancel()
	connection, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer connection.Close(context.Background())
	var answer string
	require.NoError(t, connection.QueryRow(ctx, statement).Scan(&answer))
	return answer
}

func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer connection.Close(context.Background())
	_, err = connection.Exec(t.Context(), statement)
	require.NoError(t, err)
}

func TestPostgresGivesEachTestADatabase(t *testing.T) {
	t.Parallel()
	first, second := Postgres(t), Postgres(t)
	require.NotEqual(t, first, second)
	execute(t, first, "CREATE TABLE mine (id int)")
	require.Equal(t, "0", query(t, second, "SELECT count(*)::text FROM pg_tables WHERE tablename = 'mine'"))

	var dropped string
	t.Run("inner", func(t *testing.T) { dropped = Postgres(t) })
	_, err := pgx.Connect(t.Context(), dropped)
	require.ErrorContains(t, err, "does not exist")
}

func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	dsn := Postgres(t)
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "server_encoding": "UTF8",
	} {
		require.Equal(t, want, query(t, dsn, "SHOW "+name), name)
	}
	own := PrivatePostgres(t, WithSetting("max_connections", "7"), WithSetting("wal_level", "logical"))
	require.Equal(t, "7", query(t, own.DSN("postgres"), "SHOW max_connections"))
	require.Equal(t, "logical", query(t, own.DSN("postgres"), "SHOW wal_level"))
}

// TestPostgresKeepsItsData: what was committed is there after a stop, an immediate shutdown and a kill, at the same address.
func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	server := PrivatePostgres(t)
	dsn := server.DSN("kept")
	require.NoError(t, server.CreateDatabase(t.Context(), "kept"))
	execute(t, dsn, "CREATE TABLE stock (quantity int); INSERT INTO stock VALUES (7)")

	for name, end := range map[string]func() error{"stop": server.Stop, "abort": server.Abort, "kill": server.Kill} {
		session, err := pgx.Connect(t.Context(), dsn) // an open session must not delay the server
		require.NoError(t, err, name)
		require.NoError(t, end(), name)
		require.NoError(t, end(), "%s: again is no error", name)
		require.Error(t, session.Ping(t.Context()), name)
		_, err = pgx.Connect(t.Context(), dsn)
		require.ErrorContains(t, err, "refused", name)
		require.NoError(t, server.Start(), name)
		require.NoError(t, server.Start(), "%s: again is no error", name)
		require.Equal(t, "7", query(t, dsn, "SELECT quantity::text FROM stock"), name)
		require.Equal(t, name != "stop", strings.Contains(server.log(), "automatic recovery in progress"), "%s: only a stop needs no recovery", name)
	}
}

func TestPostgresFreeze(t *testing.T) {
	t.Parallel()
	server := PrivatePostgres(t)
	session, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	require.NoError(t, err)
	defer session.Close(context.Background())
	require.NoError(t, server.Freeze())
	require.NoError(t, server.Freeze(), "again is no error")

	// An old session and a new one get no answer, and are not refused.
	answered := make(chan error, 1)
	go func() { answered <- session.Ping(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = pgx.Connect(ctx, server.DSN("postgres"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, answered)

	require.NoError(t, server.Thaw())
	require.NoError(t, <-answered)
	require.NoError(t, server.Thaw(), "again is no error")

	// A frozen server can be stopped, killed and started like any other.
	for name, end := range map[string]func() error{"stop": server.Stop, "kill": server.Kill} {
		require.NoError(t, server.Freeze(), name)
		require.NoError(t, end(), name)
		require.Error(t, server.Freeze(), "%s: nothing is left to freeze", name)
		require.NoError(t, server.Start(), name)
		require.Equal(t, "1", query(t, server.DSN("postgres"), "SELECT '1'"), name)
	}
	require.NoError(t, server.Freeze())
}

func TestPostgresCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		server, err := StartPostgres()
		requireServer(t, err)
		if killed {
			require.NoError(t, server.Kill())
		}
		require.NoError(t, server.Close())
		require.NoError(t, server.Close(), "again is no error")
		require.Error(t, server.Start(), "a closed server is gone")
		_, err = os.Stat(server.directory)
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

func BenchmarkPostgresStart(b *testing.B) {
	for b.Loop() {
		server, err := StartPostgres()
		requireServer(b, err)
		if err := server.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestStandby: what the primary has answered is on the standby, which accepts writes once it is promoted.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary := PrivatePostgres(t)
	standby, err := StartStandby(t.Context(), primary)
	require.NoError(t, err)
	closeAtEnd(t, standby.Close)
	execute(t, primary.DSN("postgres"), "CREATE TABLE stock (quantity int); INSERT INTO stock VALUES (7)")
	require.Equal(t, "true", query(t, standby.DSN("postgres"), "SELECT pg_is_in_recovery()::text"))
	require.NoError(t, primary.Kill())
	require.NoError(t, standby.Promote(t.Context()))
	execute(t, standby.DSN("postgres"), "UPDATE stock SET quantity = quantity - 1")
	require.Equal(t, "6", query(t, standby.DSN("postgres"), "SELECT quantity::text FROM stock"))
}

// TestStatementLog: with the variable a Postgres logs each statement with its account, and the log outlives the server.
func TestStatementLog(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(StatementsVariable, folder)
	server, err := StartPostgres()
	requireServer(t, err)
	t.Setenv(StatementsVariable, "")
	execute(t, server.DSN("postgres"), "SELECT 'one statement'")
	require.NoError(t, server.Close())
	logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, logs) // one for each start of the server
	var text []byte
	for _, path := range logs {
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		text = append(text, log...)
	}
	require.Regexp(t, `(?m)^postgres ~ LOG:  (statement|execute [^:]+): SELECT 'one statement'$`, string(text))
}
