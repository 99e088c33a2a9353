package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// postgresEngine writes through pgx itself, because database/sql cannot send
// several statements in one round trip.
type postgresEngine struct {
	sql    *sql.DB
	config *pgx.ConnConfig
}

func openPostgres(url string) (*Database, gorm.Dialector, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, nil, fmt.Errorf("database url: %w", hidePassword(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout / time.Duration(addressesOf(config))
	}
	if _, set := config.RuntimeParams["application_name"]; !set {
		config.RuntimeParams["application_name"] = "onhand"
	}
	pooled := config.Copy()
	pooled.DialFunc = polling(config.DialFunc)
	pool := stdlib.OpenDB(*pooled, stdlib.OptionAfterConnect(teachColumns))
	pool.SetMaxOpenConns(connectionsMax)
	pool.SetMaxIdleConns(connectionsMax)
	pool.SetConnMaxIdleTime(idleMax)
	db := &Database{sql: pool, memory: newMemory(), engine: &postgresEngine{sql: pool, config: config}}
	return db, postgres.New(postgres.Config{Conn: pool}), nil
}

// addressesOf counts the servers that a URL names. They are tried in turn: those
// that are silent must leave the last one its share of a read's time.
func addressesOf(config *pgx.ConnConfig) int {
	addresses := map[string]bool{fmt.Sprint(config.Host, config.Port): true}
	for _, other := range config.Fallbacks { // with the first one again, where TLS is optional
		addresses[fmt.Sprint(other.Host, other.Port)] = true
	}
	return len(addresses)
}

// hidePassword: pgx quotes the whole URL in its parse errors.
func hidePassword(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("cannot be understood (want postgres://user:password@host:port/database)")
	}
	return err
}

func (e *postgresEngine) ids() string {
	return `(SELECT value AS product_id FROM json_array_elements_text(?::json) AS value)`
}

func (e *postgresEngine) now() string { return "clock_timestamp()" }
func (e *postgresEngine) sequence() string {
	return "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_sequence)"
}
func (e *postgresEngine) ago() string                  { return "clock_timestamp() - make_interval(secs => ?)" }
func (e *postgresEngine) snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }
func (e *postgresEngine) oneCore() string {
	return "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)"
}
func (e *postgresEngine) oneWriter() bool    { return false }
func (e *postgresEngine) skipLocked() string { return "FOR UPDATE SKIP LOCKED" }
func (e *postgresEngine) migrations() (string, string) {
	return "postgres", "migrations/postgres"
}

// transient tells errors of the connection, the server's state and contention
// from errors of the statement.
func transient(err error) bool {
	var connErr *pgconn.ConnectError
	if errors.As(err, &connErr) { // whatever the server says to it: it took connections when we started
		return true
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return retryable(pgErr.Code) || strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "57") ||
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
func retryable(code string) bool {
	switch code {
	case "40001", "40P01", "55P03", "23505":
		return true
	}
	return false
}

// again marks an error that the next attempt may survive. A level below its
// floor is one: somebody may have changed the product's settings after they
// were read.
func again(err error) error {
	var pgErr *pgconn.PgError
	isPg := errors.As(err, &pgErr)
	switch {
	case err == nil:
		return nil
	case isPg && pgErr.Code == "55P03":
		return fmt.Errorf("%w: %w", errLocked, err)
	case transient(err) || isPg && pgErr.ConstraintName == "never_oversold":
		return fmt.Errorf("%w: %w", errRetry, err)
	}
	return err
}

// survivable tells what another attempt, some time later, may survive.
func (e *postgresEngine) survivable(err error) bool { return transient(err) }

// postgresTx is a transaction on one connection, spoken to in pipelines.
type postgresTx struct {
	conn     *sql.Conn
	lockWait time.Duration
	begun    bool
}

func (e *postgresEngine) begin(ctx context.Context, lockWait time.Duration) (transaction, error) {
	return e.beginTx(ctx, lockWait)
}

func (e *postgresEngine) beginTx(ctx context.Context, lockWait time.Duration) (*postgresTx, error) {
	conn, err := e.sql.Conn(ctx)
	if err != nil {
		return nil, connectAgain(err)
	}
	return &postgresTx{conn: conn, lockWait: lockWait}, nil
}

// connectAgain: a refused connection is worth one more try only when the
// server is on its way up or down; otherwise the caller should know at once.
func connectAgain(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "57P03" || pgErr.Code == "57P01") {
		return again(err)
	}
	return err
}

// pipeline sends statements in one round trip and reads their answers. The
// first one of a transaction carries its BEGIN, but for one that is all of it
// (onePipeline).
func (t *postgresTx) pipeline(ctx context.Context, queue func(*pgx.Batch)) error {
	return t.conn.Raw(func(driverConn any) error {
		batch := &pgx.Batch{}
		if !t.begun {
			t.begun = true
			batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
			batch.Queue("SELECT set_config('onhand.writer', 'versions', true), set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)",
				t.lockWaitText(), idleTxTimeout)
		}
		queue(batch)
		return again(driverConn.(*stdlib.Conn).Conn().SendBatch(ctx, batch).Close())
	})
}

// onePipeline has a transaction be its one pipeline, which needs no BEGIN and COMMIT
// for that. It has the server's default isolation.
func (t *postgresTx) onePipeline() { t.begun = true }

// lockWaitText is how long to wait for a lock, as a setting of the server: in milliseconds.
func (t *postgresTx) lockWaitText() string { return strconv.FormatInt(t.lockWait.Milliseconds(), 10) }

// rollback gives the connection back, clean: one that is still inside a
// transaction and cannot leave it is closed.
func (t *postgresTx) rollback() {
	_ = t.conn.Raw(func(driverConn any) error {
		conn := driverConn.(*stdlib.Conn).Conn()
		if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
		defer cancel()
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			_ = conn.Close(ctx)
		}
		return nil
	})
	_ = t.conn.Close()
}

func (e *postgresEngine) listen(ctx context.Context, wake func()) error {
	conn, err := pgx.ConnectConfig(ctx, e.config.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), partTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := answered(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN inventory_change")
		return err
	}); err != nil {
		return err
	}
	for {
		wake()
		// A silent connection is checked once in a while: it may be half open.
		wait, cancel := context.WithTimeout(ctx, listenCheck)
		_, err := conn.WaitForNotification(wait)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !pgconn.Timeout(err) {
			return err
		}
		if err != nil {
			if err := answered(ctx, conn.Ping); err != nil {
				return err
			}
		}
	}
}

// answered bounds one question on a connection that has no deadline of its own.
func answered(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return ask(ctx)
}

// listenCheck is how long a listening connection may be silent.
const listenCheck = 15 * time.Second
