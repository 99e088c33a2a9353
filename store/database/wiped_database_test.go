package database_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// spare has wiped databases for the next tests. Creating, migrating and dropping a
// Postgres database takes longer than most tests.
var spare struct {
	sync.Mutex
	urls []string
}

// wipedPostgres returns a migrated database without rows, or a new one. The database of
// a failed test is not used again.
func wipedPostgres(t *testing.T) (url string) {
	t.Helper()
	spare.Lock()
	if n := len(spare.urls); n > 0 {
		url, spare.urls = spare.urls[n-1], spare.urls[:n-1]
	}
	spare.Unlock()
	if url == "" {
		url = storetest.Postgres(withoutCleanup{t})
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		wipe(t, url)
		spare.Lock()
		spare.urls = append(spare.urls, url)
		spare.Unlock()
	})
	return url
}

// withoutCleanup lets a database outlive its test. The server deletes it when it ends.
type withoutCleanup struct{ testing.TB }

// Cleanup ignores the function that would drop the database.
func (withoutCleanup) Cleanup(func()) {}

// wipe deletes all rows of a database and starts a new epoch.
func wipe(t *testing.T, url string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `SET session_replication_role = replica; -- the triggers refuse TRUNCATE
		TRUNCATE channel_locations, channels, stock_levels, locations, products, reservations, ledger_rows, ledger_chunks, outbox, stock_counts, idempotency_keys, holdings
			RESTART IDENTITY CASCADE;
		DELETE FROM onhand_meta;
		INSERT INTO onhand_meta DEFAULT VALUES`)
	require.NoError(t, err)
}
