package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"onhand/store/database/importer"
)

// ImportTables implements [importer.ImportEngine]. The other connections keep temporary tables in
// memory; a file may have more rows than that.
func (e *Engine) ImportTables() []string {
	return []string{
		"PRAGMA temp_store = FILE", "PRAGMA temp.cache_size = -32768", "PRAGMA main.cache_size = -32768", // KiB
		importer.ImportRowsTable("TEXT", "INTEGER", "INTEGER"),
	}
}

// CopyRows implements [importer.ImportEngine] by one prepared statement in one transaction, which
// writes to the connection's own file and blocks no other connection. It binds the values
// itself: for a row of so many columns, package database/sql takes as long as SQLite.
func (e *Engine) CopyRows(ctx context.Context, conn *sql.Conn, next func() ([]any, error)) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	err = conn.Raw(func(driverConn any) error { return copyRows(ctx, driverConn.(driver.Conn).Raw(), next) })
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func copyRows(ctx context.Context, conn *sqlite3.Conn, next func() ([]any, error)) (err error) {
	defer conn.SetInterrupt(conn.SetInterrupt(ctx))
	insert, _, err := conn.Prepare("INSERT INTO import_rows (" + strings.Join(importer.ImportColumns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(importer.ImportColumns)-1) + ")")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, value := range row {
			if err := bind(insert, i+1, value); err != nil {
				return err
			}
		}
		if err := insert.Exec(); err != nil {
			return err
		}
	}
}

// bind binds a value of a staged row.
func bind(statement *sqlite3.Stmt, at int, value any) error {
	switch value := value.(type) {
	case nil:
		return statement.BindNull(at)
	case int:
		return statement.BindInt64(at, int64(value))
	case int64:
		return statement.BindInt64(at, value)
	case string:
		return statement.BindText(at, value)
	}
	return fmt.Errorf("a staged row has a %T", value)
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
