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

// transient tells errors of the connection, the server's state and contention
// from errors of the statement.
func transient(err error) bool {
	var connErr *pgconn.ConnectError
	if errors.As(err, &connErr) { // whatever the server says to it: it took connections when we started
		return true
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return RetryableCode(pgErr.Code) || strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57") ||
			strings.HasPrefix(pgErr.Code, "53") || pgErr.Code == "25006" /* read only: a standby */ || pgErr.Code == "25P03" /* we were idle for too long */ ||
			pgErr.Code == "0A000" && strings.Contains(pgErr.Message, "cached plan") /* a newer copy has migrated; prepared anew next time */
	}
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// retryable are the codes that another attempt of the same transaction may
// survive at once: serialisation failure, deadlock, lock timeout, and a unique
// key that another copy took first.
func RetryableCode(code string) bool {
	switch code {
	case "40001", "40P01", "55P03", "23505":
		return true
	}
	return false
}

// again marks an error that the next attempt may survive. A level below its
// floor is one: somebody may have changed the product's settings after they
// were read.
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

// connectAgain: a refused connection is worth one more try only when the
// server is on its way up or down; otherwise the caller should know at once.
func MarkConnectRetry(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "57P03" || pgErr.Code == "57P01") {
		return MarkRetry(err)
	}
	return err
}

func Busy(err error) bool { return errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) }

// survivable reports whether the same request may succeed some time later.
func Survivable(err error) bool {
	if _, lite := errors.AsType[*sqlite3.Error](err); lite || isAny(err, sqlite3.BUSY, sqlite3.LOCKED, sqlite3.INTERRUPT, sqlite3.FULL, sqlite3.IOERR, sqlite3.CANTOPEN) {
		return Busy(err) || isAny(err, sqlite3.INTERRUPT, sqlite3.FULL, sqlite3.IOERR, sqlite3.CANTOPEN, context.DeadlineExceeded, context.Canceled)
	}
	return transient(err)
}
