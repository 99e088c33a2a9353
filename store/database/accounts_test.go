package database_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/database"
	"onhand/store/storetest"
)

// TestServerAccount: the account of a server changes no table, no trigger and no entry of
// the ledger, and it cannot migrate. All other tests of Postgres work under it.
func TestServerAccount(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		pool, err := sql.Open("pgx", storetest.ServerAccount(s.url))
		require.NoError(t, err)
		defer pool.Close()
		for statement, want := range map[string]string{
			"CREATE TABLE public.notes (note text)":                                  "permission denied for schema public",
			"ALTER TABLE products ADD note text":                                     "must be owner",
			"ALTER TABLE ledger_rows DISABLE TRIGGER ALL":                            "must be owner",
			"DROP TABLE outbox":                                                      "must be owner",
			"CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE sql AS ''": "permission denied",
			"SET session_replication_role = replica":                                 "permission denied",
			"UPDATE ledger_rows SET available_delta = 0":                             "append-only",
			"DELETE FROM ledger_rows":                                                "append-only",
			"TRUNCATE stock_levels":                                                  "permission denied",
			"SELECT pg_read_file('PG_VERSION')":                                      "permission denied",
			"COPY products TO PROGRAM 'cat'":                                         "must be superuser",
			"CREATE ROLE another":                                                    "permission denied",
		} {
			_, err := pool.Exec(statement)
			assert.ErrorContains(t, err, want, statement)
		}
	})
}

// TestServerAccountCannotMigrate: the reason says what to do.
func TestServerAccountCannotMigrate(t *testing.T) {
	t.Parallel()
	_, err := openOnly(t, freshURL(t, postgres)).Migrate(t.Context())
	require.Error(t, err)
	reason, passes := database.Explain(err)
	assert.Contains(t, reason, "permission denied for schema public; run onhand migrate as the account that owns the tables")
	assert.False(t, passes)
}
