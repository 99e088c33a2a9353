package main

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
	"onhand/store/database"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// TestDocumentsFitTheSchema holds the program's documents against the schema that the server serves.
func TestDocumentsFitTheSchema(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, document := range []string{reserveDocument, commitDocument, adjustDocument, productsDocument, stocksDocument} {
		_, errs := gqlparser.LoadQueryWithRules(schema, document, rules.NewDefaultRules())
		require.Empty(t, errs, document)
	}
}

// TestAuditReadsTheRealTables runs the audit's SQL on the tables that the server makes, on both databases.
func TestAuditReadsTheRealTables(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*testing.T) string{
		"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "onhand.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := address(t)
			server, err := database.Open(url, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, server.Close()) })
			_, err = server.Migrate(t.Context())
			require.NoError(t, err)
			write := writing(t, url)
			// The ledger rows of these come from the tables' own triggers.
			write(`INSERT INTO locations (location_id, name, active) VALUES ('open', 'Open', '1'), ('closed', 'Closed', '0')`)
			write(`INSERT INTO products (product_id, title) VALUES ('A', 'First'), ('B', 'Second')`)
			write(`INSERT INTO stock_levels (product_id, location_id, available) VALUES ('A', 'open', 10), ('A', 'closed', 5)`)
			write(`UPDATE stock_levels SET available = available - 3, committed = 3 WHERE location_id = 'open'`)

			db, err := openDatabase(url)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			truths, err := readTruths(t.Context(), db)
			require.NoError(t, err)
			require.Equal(t, 7, truths["A"].quantity, "what a closed location holds cannot be sold")
			require.Equal(t, 0, truths["B"].quantity)
			require.Greater(t, truths["A"].version, truths["B"].version)

			var left AuditReport
			require.NoError(t, auditDatabase(t.Context(), Config{}, db, &left))
			require.Equal(t, []int{2, 3, 1}, []int{left.Levels, left.Movements, left.Differences})
			require.Contains(t, left.First[0], "the outbox still has")

			write(`DELETE FROM outbox`)
			report := AuditReport{First: []string{}}
			require.NoError(t, auditDatabase(t.Context(), Config{}, db, &report))
			require.Equal(t, AuditReport{Levels: 2, Movements: 3, First: []string{}}, report)

			write(`INSERT INTO stock_movements (product_id, location_id, available_delta, reserved_delta, committed_delta, damaged_delta,
				quality_control_delta, safety_stock_delta, incoming_delta, available_after, reserved_after, committed_after, damaged_after,
				quality_control_after, safety_stock_after, incoming_after, reason, version)
				SELECT product_id, location_id, 1, 0, 0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 'OTHER', 9 FROM stock_levels WHERE location_id = 'open'`)
			require.NoError(t, auditDatabase(t.Context(), Config{}, db, &report))
			require.Equal(t, []string{`"A" at "open" has AVAILABLE 7, but its ledger adds up to 8`}, report.First)
		})
	}
}

// writing returns how to execute SQL on the database as a stranger would.
func writing(t *testing.T, url string) func(statement string) {
	t.Helper()
	kind, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		kind, name = "sqlite3", "file:"+path
	}
	db, err := sql.Open(kind, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}
