package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"time"

	"onhand/store/database/importer"
)

// ImportTables implements [importer.ImportEngine]. The other connections keep temporary tables in
// memory; a file may have more rows than that.
func (e *Engine) ImportTables() []string {
	return []string{
		"PRAGMA temp_store = FILE", "PRAGMA temp.cache_size = -32768", "PRAGMA main.cache_size = -32768", // KiB
		importer.ImportRowsTable("TEXT", "INTEGER"),
	}
}

// CopyRows implements [importer.ImportEngine] by one prepared statement in one transaction, which
// writes to the connection's own file and blocks no other connection.
func (e *Engine) CopyRows(ctx context.Context, conn *sql.Conn, next func() ([]any, error)) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	insert, err := conn.PrepareContext(ctx, "INSERT INTO import_rows ("+strings.Join(importer.ImportColumns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(importer.ImportColumns)-1)+")")
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

// ImportStart implements [importer.ImportEngine].
func (e *Engine) ImportStart(time.Duration) []string {
	return []string{"BEGIN IMMEDIATE", "UPDATE onhand_writer SET active = 1"}
}

// ImportLock implements [importer.ImportEngine].
func (e *Engine) ImportLock() string { return "" }

// ImportEnd implements [importer.ImportEngine].
func (e *Engine) ImportEnd() []string {
	return []string{"UPDATE onhand_writer SET active = 0", "COMMIT"}
}

// ImportTurn implements [importer.ImportEngine].
func (e *Engine) ImportTurn(ctx context.Context) (func(), error) {
	select {
	case e.turn <- struct{}{}:
		return func() { <-e.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
