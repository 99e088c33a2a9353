package cli

import (
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"
)

// TestNewerTables: the commands work on tables that a newer program has added to. None works on those from which it has
// removed something.
func TestNewerTables(t *testing.T) {
	t.Parallel()
	m := shopWith(t, "mug,London,5\n")
	file := filepath.Join(m.home, "shop.db")
	db, err := driver.Open("file:" + file)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	require.NoError(t, err)
	m.run(0, "stock", "mug")
	m.run(0, "audit")
	_, err = db.ExecContext(t.Context(), "UPDATE onhand_meta SET migration_needed = 99")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for _, args := range [][]string{{"migrate"}, {"serve", "--listen-addr=127.0.0.1:0"}, {"export", "-"}, {"stock", "mug"}, {"ledger", "mug"}, {"import", m.file("more.csv", ownHead), "--create"}} {
		_, stderr := m.run(1, args...)
		require.Contains(t, stderr, "the database cannot be used: a newer onhand has migrated its tables: they are at migration 99", args)
	}
	_, stderr := m.run(2, "audit")
	require.Contains(t, stderr, "the database cannot be used: a newer onhand has migrated its tables: they are at migration 99")
}
