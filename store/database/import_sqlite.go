package database

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"time"
)

// importTables: the other connections keep such tables in memory; a file's rows
// may be more than that.
func (e *sqliteEngine) importTables() []string {
	return []string{
		"PRAGMA temp_store = FILE", "PRAGMA temp.cache_size = -32768", "PRAGMA main.cache_size = -32768", // KiB
		importRowsTable("TEXT", "INTEGER"),
	}
}

// copyRows inserts by one prepared statement in one transaction, which writes to
// the connection's own file and locks nobody out.
func (e *sqliteEngine) copyRows(ctx context.Context, conn *sql.Conn, next func() ([]any, error)) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	insert, err := conn.PrepareContext(ctx, "INSERT INTO import_rows ("+strings.Join(importColumns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(importColumns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func (e *sqliteEngine) importStart(time.Duration) []string {
	return []string{"BEGIN IMMEDIATE", "UPDATE onhand_writer SET active = 1"}
}

func (e *sqliteEngine) importLock() string { return "" }

func (e *sqliteEngine) importEnd() []string {
	return []string{"UPDATE onhand_writer SET active = 0", "COMMIT"}
}

func (e *sqliteEngine) importTurn(ctx context.Context) (func(), error) {
	select {
	case e.turn <- struct{}{}:
		return func() { <-e.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
