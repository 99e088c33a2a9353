package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"onhand/store/database/decide/counting"
	"onhand/store/database/importer"
)

// ImportTables implements [importer.ImportEngine]. The memory for sorting is one import's, on
// the server.
func (e *Engine) ImportTables() []string {
	return []string{
		"SET work_mem = '32MB'", "SET temp_buffers = '32MB'",
		importer.ImportRowsTable(`text COLLATE "C"`, "bigint", "timestamptz"),
	}
}

// CopyRows implements [importer.ImportEngine].
func (e *Engine) CopyRows(ctx context.Context, conn *sql.Conn, next func() ([]any, error)) error {
	var broken error // COPY gives it back as the server's, in other words
	err := conn.Raw(func(driverConn any) error {
		_, err := driverConn.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{"import_rows"}, importer.ImportColumns,
			pgx.CopyFromFunc(func() ([]any, error) {
				row, err := next()
				if errors.Is(err, io.EOF) {
					return nil, nil
				}
				broken = err
				return row, err
			}))
		return err
	})
	return cmp.Or(broken, err)
}

// ImportStart implements [importer.ImportEngine]. An import waits longer for a row lock than a buyer's write does.
func (e *Engine) ImportStart(idle time.Duration) []string {
	return []string{
		"BEGIN ISOLATION LEVEL READ COMMITTED",
		"SET LOCAL idle_in_transaction_session_timeout = " + strconv.FormatInt(idle.Milliseconds(), 10),
		"SET LOCAL lock_timeout = '10s'",
		"SELECT set_config('onhand.writer', 'ledger', true)",
	}
}

// ImportLock implements [importer.ImportEngine].
func (e *Engine) ImportLock() string {
	return `SELECT count(*) FROM (SELECT 1 FROM stock_levels l
		WHERE (l.product_id, l.location_id) IN (SELECT product_id, location_id FROM import_rows WHERE sets = 1 AND problem = '')
		ORDER BY l.product_id, l.location_id FOR UPDATE OF l) locked`
}

// ImportEnd implements [importer.ImportEngine].
func (e *Engine) ImportEnd() []string { return []string{"COMMIT"} }

// ImportTurn implements [importer.ImportEngine]: other writers go on, since rows are locked one
// by one.
func (e *Engine) ImportTurn(context.Context) (func(), error) { return func() {}, nil }

// momentsPage is how many levels one statement looks up in the ledger; a call of its function
// takes 1,000 of them.
const momentsPage = 20_000

// ReadCounts implements [importer.ImportEngine].
func (e *Engine) ReadCounts(ctx context.Context, conn *sql.Conn, alive func()) error {
	for _, query := range []string{"DROP TABLE IF EXISTS pg_temp.import_moments", `CREATE TEMP TABLE import_moments AS SELECT row_number() OVER () - 1 AS n, d.*
		FROM (SELECT DISTINCT product_id, location_id, counted_at FROM import_rows WHERE counted_at IS NOT NULL AND problem = '') d`} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	for from := 0; ; from += momentsPage {
		alive()
		done, err := conn.ExecContext(ctx, `INSERT INTO import_counts (`+importer.CountColumns+`)
			SELECT s.product, s.location, s.moment, s.since_available, s.since_damaged, s.since_quality_control, s.since_safety_stock, s.since_incoming,
				s.since_available + s.since_reserved + s.since_committed + s.since_damaged + s.since_quality_control + s.since_safety_stock,
				s.newest_available, s.newest_damaged, s.newest_quality_control, s.newest_safety_stock, s.newest_incoming, s.complete::int
			FROM (SELECT array_agg(product_id::text) AS products, array_agg(location_id::text) AS locations, array_agg(counted_at) AS moments
				FROM import_moments WHERE n >= $2 AND n < $3 GROUP BY n / 1000) g
			CROSS JOIN LATERAL onhand_moved_since(g.products, g.locations, g.moments, $1, 2147483647) s`, counting.EntriesMax, from, from+momentsPage)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}
