package audit

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/database"
	"onhand/store/readthrough"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// auditedStack is a stack, and SQL that goes around it.
type auditedStack struct {
	*fixture.Stack
	t        *testing.T
	postgres bool
	raw      *sql.DB
}

// onEach runs a test on every composition, with a database to tamper with.
func onEach(t *testing.T, test func(t *testing.T, s auditedStack)) {
	t.Helper()
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) { test(t, tamperWith(t, s)) })
}

func tamperWith(t *testing.T, s *fixture.Stack) auditedStack {
	t.Helper()
	path, isSQLite := strings.CutPrefix(s.DatabaseURL, "sqlite:")
	open := func() (*sql.DB, error) { return sql.Open("pgx", s.DatabaseURL) }
	if isSQLite {
		open = func() (*sql.DB, error) {
			return driver.Open("file:" + path + "?_pragma=busy_timeout(20000)&_txlock=immediate")
		}
	}
	raw, err := open()
	require.NoError(t, err)
	t.Cleanup(func() { _ = raw.Close() })
	return auditedStack{s, t, !isSQLite, raw}
}

// auditReads reads products for an audit.
type auditReads struct{ *database.Database }

func (r auditReads) ReadStocks(ctx context.Context, ids []string) (database.Reading, error) {
	return r.AuditStocks(ctx, ids)
}

// anyEpoch never has an epoch checked.
type anyEpoch struct{}

func (anyEpoch) Epoch() string  { return "" }
func (anyEpoch) Compare(string) {}

// subjects are what an audit of the stack compares.
func (s auditedStack) subjects() Subjects {
	return Subjects{
		Levels: s.Database, Products: readthrough.NewBisector(auditReads{s.Database}, anyEpoch{}), Redis: s.Cache, Versions: s.Database,
	}
}

func (s auditedStack) exec(query string, args ...any) {
	s.t.Helper()
	_, err := s.raw.ExecContext(s.t.Context(), query, args...)
	require.NoError(s.t, err, query)
}

// pastTriggers changes levels without their triggers: no ledger row, no version,
// no outbox row.
func (s auditedStack) pastTriggers(statements ...string) {
	s.t.Helper()
	if s.postgres {
		tx, err := s.raw.BeginTx(s.t.Context(), nil)
		require.NoError(s.t, err)
		for _, statement := range slices.Concat([]string{"ALTER TABLE stock_levels DISABLE TRIGGER USER"}, statements, []string{"ALTER TABLE stock_levels ENABLE TRIGGER USER"}) {
			_, err := tx.ExecContext(s.t.Context(), statement)
			require.NoError(s.t, err, statement)
		}
		require.NoError(s.t, tx.Commit())
		return
	}
	for _, name := range []string{"stock_levels_updated", "stock_levels_deleted"} {
		var trigger string
		require.NoError(s.t, s.raw.QueryRowContext(s.t.Context(), "SELECT sql FROM sqlite_schema WHERE name = ?", name).Scan(&trigger))
		s.exec("DROP TRIGGER " + name)
		defer s.exec(trigger)
	}
	for _, statement := range statements {
		s.exec(statement)
	}
}

// rewriteLedger changes the ledger, which is append-only.
func (s auditedStack) rewriteLedger(statement string) {
	s.t.Helper()
	if s.postgres {
		s.exec("ALTER TABLE ledger_rows DISABLE TRIGGER USER")
		defer s.exec("ALTER TABLE ledger_rows ENABLE TRIGGER USER")
		statement = strings.ReplaceAll(statement, "stock_movements", "ledger_rows")
	} else {
		s.exec("DROP TRIGGER append_only_update")
		s.exec("DROP TRIGGER append_only_delete")
	}
	s.exec(statement)
}

// setHash changes the hash of a product in Redis.
func (s auditedStack) setHash(id string, pairs ...any) {
	s.t.Helper()
	require.NoError(s.t, s.Redis.HSet(s.t.Context(), s.Cache.Keys().Stock(id), pairs...).Err())
}

// alterHash writes another stock of the same version to Redis, as this program would.
func (s auditedStack) alterHash(id string, alter func(*models.Stock)) {
	s.t.Helper()
	stock := *cached(s.t, s, id)
	stock.Levels = slices.Clone(stock.Levels)
	alter(&stock)
	s.setStock(&stock)
}

// setStock writes a stock to Redis past the scripts.
func (s auditedStack) setStock(stock *models.Stock) {
	f := stockbinary.Encode(stock)
	s.setHash(stock.ProductID, "product_id", f.ProductID, "quantity", f.Quantity, "version", f.Version, "epoch", f.Epoch, "stock", f.Stock)
}

// findings audits and returns the differences as lines.
func (s auditedStack) findings(options Options) ([]string, Tally) {
	s.t.Helper()
	lines := []string{}
	options.Found = func(d Difference) { lines = append(lines, d.String()) }
	tally, err := Run(s.t.Context(), s.subjects(), options)
	require.NoError(s.t, err)
	require.EqualValues(s.t, len(lines), tally.Total())
	return lines, tally
}
