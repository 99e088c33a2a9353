package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"onhand/store/database/dialect"
)

// Claim implements [dialect.Engine].
func (e *Engine) Claim(ctx context.Context, exclusive bool) (*dialect.Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	conn, err := e.sql.Conn(ctx)
	if err != nil {
		return nil, e.db.Fault(err)
	}
	if pooled(ctx, conn) {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: a connection pooler is between", dialect.ErrNoClaim)
	}
	function := "pg_try_advisory_lock_shared"
	if exclusive {
		function = "pg_try_advisory_lock"
	}
	var got bool
	err = conn.QueryRowContext(ctx, "SELECT "+function+"($1, hashtext(current_schema()))", claimClass).Scan(&got)
	if err == nil && got {
		return &dialect.Claim{
			Alive: func(ctx context.Context) error { return e.checkClaim(ctx, conn) },
			End:   func() { endSession(conn) },
		}, nil
	}
	_ = conn.Close()
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil, dialect.ErrClaimed
	case errors.As(err, &pgErr) && (pgErr.Code == "42883" || pgErr.Code == "0A000"): // no such function, not supported
		return nil, fmt.Errorf("%w: %w", dialect.ErrNoClaim, err)
	}
	return nil, e.db.Fault(err)
}

// pooled reports whether a pooler lends the connection its servers: then it has no session.
// A pooler gives its clients numbers of its own in place of the server process's.
func pooled(ctx context.Context, conn *sql.Conn) (pooled bool) {
	_ = conn.Raw(func(driverConn any) error { // an error is that of the statement that follows, too
		pooled = throughPooler(ctx, driverConn.(*stdlib.Conn).Conn())
		return nil
	})
	return pooled
}

func throughPooler(ctx context.Context, conn *pgx.Conn) bool {
	var pid uint32
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	return err == nil && pid != conn.PgConn().PID()
}

func (e *Engine) checkClaim(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	_, err := conn.ExecContext(ctx, "SELECT 1")
	return e.db.Fault(err)
}

// endSession closes a connection: in the pool it would keep its locks. It unlocks first,
// because the server notices a closed connection late.
func endSession(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), dialect.LeaveTimeout)
	defer cancel()
	_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock_all()")
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// ClaimMigration implements [Engine]: the migrations lock each other out themselves.
func (e *Engine) ClaimMigration() (release func(), err error) { return func() {}, nil }

// claimClass is the class of our advisory locks. Other programs use other classes.
const claimClass = 0x6f6e6864 // "onhd"
