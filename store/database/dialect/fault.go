package dialect

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
)

// transient reports whether a Postgres error comes from the connection, the server's
// state or contention, and not from the statement.
func transient(err error) bool {
	var connErr *pgconn.ConnectError
	if errors.As(err, &connErr) { // whatever the reason: the server took connections at the start
		return true
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return retryableCode(pgErr.Code) || strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57") ||
			strings.HasPrefix(pgErr.Code, "53") || pgErr.Code == "25006" /* read only: a standby */ || pgErr.Code == "25P03" /* idle in transaction for too long */ ||
			pgErr.Code == "0A000" && strings.Contains(pgErr.Message, "cached plan") /* another instance has migrated; prepared anew next time */
	}
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// retryableCode reports whether another attempt of the same transaction may succeed at
// once: after a serialisation failure, a deadlock, a lock timeout, or a unique key that
// another instance inserted first.
func retryableCode(code string) bool {
	switch code {
	case "40001", "40P01", "55P03", "23505":
		return true
	}
	return false
}

// MarkRetry wraps an error of Postgres in ErrLocked or ErrRetry where the next attempt
// may succeed. A level below its floor is such an error: the product's settings may have
// changed after they were read.
func MarkRetry(err error) error {
	var pgErr *pgconn.PgError
	isPg := errors.As(err, &pgErr)
	switch {
	case err == nil:
		return nil
	case isPg && pgErr.Code == "55P03":
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case transient(err) || isPg && pgErr.ConstraintName == "never_oversold":
		return fmt.Errorf("%w: %w", ErrRetry, err)
	}
	return err
}

// MarkConnectRetry is MarkRetry for a refused connection. It is worth another attempt
// only while the server starts or stops; else the caller gets the error at once.
func MarkConnectRetry(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "57P03" || pgErr.Code == "57P01") {
		return MarkRetry(err)
	}
	return err
}

// Busy reports whether another connection has locked the SQLite database.
func Busy(err error) bool { return errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) }

// Survivable reports whether the same request may succeed some time later.
func Survivable(err error) bool {
	if _, lite := errors.AsType[*sqlite3.Error](err); lite || isAny(err, sqlite3.BUSY, sqlite3.LOCKED, sqlite3.INTERRUPT, sqlite3.FULL, sqlite3.IOERR, sqlite3.CANTOPEN) {
		return Busy(err) || isAny(err, sqlite3.INTERRUPT, sqlite3.FULL, sqlite3.IOERR, sqlite3.CANTOPEN, context.DeadlineExceeded, context.Canceled)
	}
	return transient(err)
}
