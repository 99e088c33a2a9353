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
// a failed test, or of a test that changed the schema, is not used again.
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
		if schemaOf(t, url) != migratedSchema(t) {
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

// migrated is the schema of a database that no test has changed.
var migrated struct {
	sync.Once
	schema string
}

func migratedSchema(t *testing.T) string {
	t.Helper()
	migrated.Do(func() {
		url := storetest.Postgres(t)
		require.NoError(t, open(t, url).Close())
		migrated.schema = schemaOf(t, url)
	})
	require.NotEmpty(t, migrated.schema)
	return migrated.schema
}

// schemaOf returns a hash of the tables, columns, indexes, constraints, triggers, functions
// and settings of a database.
func schemaOf(t *testing.T, url string) (hash string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, conn.QueryRow(ctx, `WITH tables AS (
			SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S', 'i'))
		SELECT md5(string_agg(part, E'\n' ORDER BY part COLLATE "C")) FROM (
			SELECT concat_ws(' ', 'table', relname) FROM tables
			UNION ALL SELECT concat_ws(' ', 'column', relname, attname, atttypid::regtype, atttypmod, attnotnull, atthasdef, attisdropped)
				FROM pg_attribute JOIN tables ON tables.oid = attrelid WHERE attnum > 0
			UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN tables ON tables.oid = indrelid
			UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, contypid::regtype, conname, pg_get_constraintdef(oid), convalidated)
				FROM pg_constraint WHERE connamespace = 'public'::regnamespace
			UNION ALL SELECT concat_ws(' ', 'trigger', relname, tgname, tgenabled, tgfoid::regprocedure, pg_get_triggerdef(pg_trigger.oid))
				FROM pg_trigger JOIN tables ON tables.oid = tgrelid WHERE NOT tgisinternal
			UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure, md5(prosrc), proconfig) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL SELECT concat_ws(' ', 'type', oid::regtype, typtype) FROM pg_type WHERE typnamespace = 'public'::regnamespace
			UNION ALL SELECT concat_ws(' ', 'setting', setconfig) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
		) AS parts (part)`).Scan(&hash))
	return hash
}

// A database whose schema a test changed is not given to another test.
func TestChangedSchemaIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	var changed string
	t.Run("change", func(t *testing.T) {
		changed = wipedPostgres(t)
		_ = open(t, changed)
		conn, err := pgx.Connect(t.Context(), storetest.OwnerAccount(changed))
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), `ALTER DOMAIN onhand_time DROP CONSTRAINT "years 1 to 9999"`)
		require.NoError(t, err)
	})
	spare.Lock()
	defer spare.Unlock()
	require.NotContains(t, spare.urls, changed)
}

// A database whose schema is as migrated is given to the next test.
func TestUnchangedSchemaIsUsedAgain(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	_ = open(t, url)
	require.Equal(t, migratedSchema(t), schemaOf(t, url))
	wipe(t, url)
	require.Equal(t, migratedSchema(t), schemaOf(t, url))
}

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
