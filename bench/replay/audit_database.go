package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/ncruces/go-sqlite3/driver"

	"onhand/models"
)

// auditLevelsMax bounds how many levels are held in memory.
const auditLevelsMax = 5_000_000

// levelKey names one level.
type levelKey struct{ product, location string }

// openDatabase opens the server's database for reading.
func openDatabase(address string) (*sql.DB, error) {
	path, isSQLite := strings.CutPrefix(address, "sqlite:")
	switch {
	case isSQLite && (path == "" || path == ":memory:"):
		return nil, errors.New("--audit-database: a database in the server's memory cannot be audited from outside")
	case isSQLite:
		name := (&url.URL{Path: path}).EscapedPath()
		return driver.Open("file:" + name + "?mode=ro&_pragma=busy_timeout(5000)")
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		return sql.Open("pgx", address)
	default:
		return nil, errors.New("--audit-database must be postgres://… or sqlite:PATH")
	}
}

// auditDatabase compares the ledger's sums with the levels, state by state, and waits for the outbox to be drained.
// Both are read in one transaction, so that what is written meanwhile does not look like a difference.
func auditDatabase(ctx context.Context, config Config, db *sql.DB, report *AuditReport) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: snapshotOf(db)})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // only read
	ledger, err := readLevels(ctx, tx, ledgerQuery())
	if err != nil {
		return err
	}
	levels, err := readLevels(ctx, tx, levelsQuery())
	if err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM stock_movements").Scan(&report.Movements); err != nil {
		return err
	}
	report.Levels = len(levels)
	compareLedger(report, ledger, levels)
	return waitForOutbox(ctx, config.Settle, db, report)
}

// snapshotOf is the isolation under which two queries see the same moment: always so in SQLite, whose driver wants no
// name for it.
func snapshotOf(db *sql.DB) sql.IsolationLevel {
	if _, ok := db.Driver().(*driver.SQLite); ok {
		return sql.LevelDefault
	}
	return sql.LevelRepeatableRead
}

// compareLedger lists every level that is not the sum of its movements, and every one that is negative.
func compareLedger(report *AuditReport, ledger, levels map[levelKey]models.Quantities) {
	for _, key := range sortedKeys(levels) {
		level, sum := levels[key], ledger[key]
		for _, s := range states {
			if got, want := *level.Of(s), *sum.Of(s); got != want {
				report.differ("%q at %q has %s %d, but its ledger adds up to %d", key.product, key.location, s, got, want)
			}
		}
		if s := negative(level); s != "" {
			report.differ("%q at %q is negative: %s", key.product, key.location, s)
		}
	}
	for _, key := range sortedKeys(ledger) {
		if _, ok := levels[key]; !ok && ledger[key] != (models.Quantities{}) {
			report.differ("%q at %q has movements, but no level", key.product, key.location)
		}
	}
}

func sortedKeys(m map[levelKey]models.Quantities) []levelKey {
	keys := make([]levelKey, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b levelKey) int {
		if by := strings.Compare(a.product, b.product); by != 0 {
			return by
		}
		return strings.Compare(a.location, b.location)
	})
	return keys
}

// levelsQuery reads every level; ledgerQuery the sums of its movements. Both in the order of states.
func levelsQuery() string {
	return "SELECT product_id, location_id, " + strings.Join(columnsOf("%s"), ", ") + " FROM stock_levels"
}

func ledgerQuery() string {
	return "SELECT product_id, location_id, " + strings.Join(columnsOf("CAST(sum(%s_delta) AS bigint)"), ", ") +
		" FROM stock_movements GROUP BY product_id, location_id"
}

// columnsOf writes each state's column into a pattern.
func columnsOf(pattern string) []string {
	columns := make([]string, len(states))
	for i, s := range states {
		columns[i] = fmt.Sprintf(pattern, strings.ToLower(string(s)))
	}
	return columns
}

func readLevels(ctx context.Context, tx *sql.Tx, query string) (map[levelKey]models.Quantities, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err
	levels := map[levelKey]models.Quantities{}
	for rows.Next() {
		var key levelKey
		var q models.Quantities
		into := []any{&key.product, &key.location}
		for _, s := range states {
			into = append(into, q.Of(s))
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if len(levels) == auditLevelsMax {
			return nil, fmt.Errorf("more than %d levels", auditLevelsMax)
		}
		levels[key] = q
	}
	return levels, rows.Err()
}

// waitForOutbox gives the relay its time to carry what is left to Redis.
func waitForOutbox(ctx context.Context, within time.Duration, db *sql.DB, report *AuditReport) error {
	deadline := time.Now().Add(within)
	for {
		var left int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM outbox").Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			report.differ("the outbox still has %d rows after %s", left, within)
			return nil
		}
		if err := waitUntil(ctx, time.Now().Add(settleEvery)); err != nil {
			return err
		}
	}
}
