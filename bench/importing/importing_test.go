package importing

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/stockfile"
	"onhand/store/storetest"
)

const (
	products  = 10_000
	locations = 5
	rows      = products * locations
	rounds    = 2
	// ratioMax is loose: a busy machine must not fail the test, an import row by row must.
	ratioMax = 12
)

func TestMain(m *testing.M) { storetest.Main(m) }

// csvFile is the file that is imported; copyText has the same rows for COPY.
func csvFile(add int) string {
	var b strings.Builder
	b.WriteString("product_id,location_id,available\n")
	eachRow(func(product, location string, n int) { fmt.Fprintf(&b, "%s,%s,%d\n", product, location, n+add) })
	return b.String()
}

func copyText() string {
	var b strings.Builder
	eachRow(func(product, location string, n int) { fmt.Fprintf(&b, "%s\t%s\t%d\n", product, location, n) })
	return b.String()
}

func eachRow(row func(product, location string, n int)) {
	for p := range products {
		for l := range locations {
			row(fmt.Sprintf("product-%05d", p), fmt.Sprintf("location-%d", l), 1+(p*7+l)%90)
		}
	}
}

// importTarget is a database with the products and locations, and no levels.
type importTarget struct {
	t    testing.TB
	db   *database.Database
	conn *pgx.Conn
}

func newImportTarget(t testing.TB) *importTarget {
	t.Helper()
	url := storetest.Postgres(t)
	owner := openDatabase(t, storetest.OwnerAccount(url))
	_, err := owner.Migrate(t.Context())
	require.NoError(t, err)
	db := openDatabase(t, storetest.ServerAccount(url))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	s := &importTarget{t, db, conn}
	s.exec(fmt.Sprintf("INSERT INTO products (product_id) SELECT 'product-' || lpad(n::text, 5, '0') FROM generate_series(0, %d) n", products-1))
	s.exec(fmt.Sprintf("INSERT INTO locations (location_id, name) SELECT 'location-' || n, 'location-' || n FROM generate_series(0, %d) n", locations-1))
	s.exec("CREATE TABLE plain_levels (LIKE stock_levels INCLUDING ALL)")
	s.exec("VACUUM ANALYZE")
	return s
}

func openDatabase(t testing.TB, url string) *database.Database {
	t.Helper()
	db, err := database.Open(url, slog.New(slog.DiscardHandler), database.Switches{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *importTarget) exec(query string) {
	s.t.Helper()
	_, err := s.conn.Exec(context.Background(), query)
	require.NoError(s.t, err)
}

func (s *importTarget) copyInto(table, text string) time.Duration {
	s.t.Helper()
	began := time.Now()
	tag, err := s.conn.PgConn().CopyFrom(context.Background(), bytes.NewReader([]byte(text)), "COPY "+table+" (product_id, location_id, available) FROM STDIN")
	took := time.Since(began)
	require.NoError(s.t, err)
	require.EqualValues(s.t, rows, tag.RowsAffected())
	return took
}

func (s *importTarget) importFile(file string, want models.ImportOutcome) time.Duration {
	s.t.Helper()
	began := time.Now()
	reader, err := stockfile.NewReader(strings.NewReader(file), stockfile.Auto)
	require.NoError(s.t, err)
	summary, err := s.db.Import(context.Background(), reader.Next, models.ImportOptions{Reference: "bench"}, nil, nil)
	took := time.Since(began)
	require.NoError(s.t, err)
	require.Equal(s.t, rows, summary.Outcomes[want], "%v", summary)
	return took
}

// ways are what is timed, in the order of a round.
var ways = []string{"COPY, no triggers", "COPY, triggers", "import, new levels", "import, changed levels"}

// timeRound times each way once, on databases of its own.
func timeRound(t testing.TB, text, first, second string) []time.Duration {
	copied, imported := newImportTarget(t), newImportTarget(t)
	return []time.Duration{
		copied.copyInto("plain_levels", text), copied.copyInto("stock_levels", text),
		imported.importFile(first, models.ImportCreated), imported.importFile(second, models.ImportChanged),
	}
}

// TestRatio reports how much longer an import takes than a COPY, and fails when it works row by row.
func TestRatio(t *testing.T) {
	if testing.Short() {
		t.Skip("times 50,000 rows several times")
	}
	text, first, second := copyText(), csvFile(0), csvFile(1)
	best := make([]time.Duration, len(ways))
	for range rounds {
		for i, took := range timeRound(t, text, first, second) {
			if best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	for i, way := range ways {
		t.Logf("%-24s %8s  %5.1f x COPY without triggers, %4.1f x COPY into stock_levels", way, best[i].Round(time.Millisecond),
			best[i].Seconds()/best[0].Seconds(), best[i].Seconds()/best[1].Seconds())
	}
	require.Less(t, best[2].Seconds()/best[1].Seconds(), float64(ratioMax), "into new levels")
	require.Less(t, best[3].Seconds()/best[1].Seconds(), float64(ratioMax), "into levels that change")
}

// BenchmarkRows reports nanoseconds a row, each way.
func BenchmarkRows(b *testing.B) {
	text, first, second := copyText(), csvFile(0), csvFile(1)
	sums := make([]time.Duration, len(ways))
	for b.Loop() {
		for i, took := range timeRound(b, text, first, second) {
			sums[i] += took
		}
	}
	for i, way := range ways {
		b.ReportMetric(float64(sums[i].Nanoseconds())/float64(b.N*rows), strings.NewReplacer(", ", "-", " ", "-").Replace(way)+"-ns/row")
	}
}
