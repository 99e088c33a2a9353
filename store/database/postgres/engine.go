package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"

	"onhand/store/database/dialect"
	"onhand/store/database/optimistic"
)

// postgresEngine writes through pgx itself, because database/sql cannot send
// several statements in one round trip.
type Engine struct {
	db     *dialect.DB
	sql    *sql.DB
	config *pgx.ConnConfig
	spare  atomic.Pointer[optimistic.ReservationRows] // of a batch that is done, for the next one
}

func Open(url string, log *slog.Logger) (*dialect.DB, *Engine, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, nil, fmt.Errorf("database url: %w", hidePassword(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialect.ConnectTimeout / time.Duration(serversOf(config))
	}
	if _, set := config.RuntimeParams["application_name"]; !set {
		config.RuntimeParams["application_name"] = "onhand"
	}
	pooled := config.Copy()
	pooled.DialFunc = polling(config.DialFunc)
	pool := stdlib.OpenDB(*pooled, stdlib.OptionAfterConnect(teachColumns))
	pool.SetMaxOpenConns(dialect.ConnectionsMax)
	pool.SetMaxIdleConns(dialect.ConnectionsMax)
	pool.SetConnMaxIdleTime(dialect.IdleMax)
	db, err := dialect.NewDB(pool, postgres.New(postgres.Config{Conn: pool}), &fragments, log)
	if err != nil {
		_ = pool.Close()
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	return db, &Engine{db: db, sql: pool, config: config}, nil
}

// addressesOf counts the servers that a URL names. They are tried in turn: those
// that are silent must leave the last one its share of a read's time.
func serversOf(config *pgx.ConnConfig) int {
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

func (e *Engine) Migrations() (string, fs.FS) {
	files, _ := fs.Sub(migrationFiles, "migrations") // embedded; cannot fail
	return "postgres", files
}

// postgresTx is a transaction on one connection, spoken to in pipelines.
type transaction struct {
	conn     *sql.Conn
	lockWait time.Duration
	begun    bool
}

func (e *Engine) Begin(ctx context.Context, lockWait time.Duration) (dialect.Transaction, error) {
	return e.beginTx(ctx, lockWait)
}

func (e *Engine) beginTx(ctx context.Context, lockWait time.Duration) (*transaction, error) {
	conn, err := e.sql.Conn(ctx)
	if err != nil {
		return nil, dialect.MarkConnectRetry(err)
	}
	return &transaction{conn: conn, lockWait: lockWait}, nil
}

// pipeline sends statements in one round trip and reads their answers. The
// first one of a transaction carries its BEGIN, but for one that is all of it
// (onePipeline).
func (t *transaction) pipeline(ctx context.Context, queue func(*pgx.Batch)) error {
	return t.conn.Raw(func(driverConn any) error {
		batch := &pgx.Batch{}
		if !t.begun {
			t.begun = true
			batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
			batch.Queue("SELECT set_config('onhand.writer', 'versions', true), set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)",
				t.lockWaitText(), dialect.IdleTxTimeout)
		}
		queue(batch)
		return dialect.MarkRetry(driverConn.(*stdlib.Conn).Conn().SendBatch(ctx, batch).Close())
	})
}

// onePipeline has a transaction be its one pipeline, which needs no BEGIN and COMMIT
// for that. It has the server's default isolation.
func (t *transaction) skipBegin() { t.begun = true }

// lockWaitText is how long to wait for a lock, as a setting of the server: in milliseconds.
func (t *transaction) lockWaitText() string { return strconv.FormatInt(t.lockWait.Milliseconds(), 10) }

// rollback gives the connection back, clean: one that is still inside a
// transaction and cannot leave it is closed.
func (t *transaction) Rollback() {
	_ = t.conn.Raw(func(driverConn any) error {
		conn := driverConn.(*stdlib.Conn).Conn()
		if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), dialect.LeaveTimeout)
		defer cancel()
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			_ = conn.Close(ctx)
		}
		return nil
	})
	_ = t.conn.Close()
}

func (e *Engine) Listen(ctx context.Context, wake func()) error {
	conn, err := pgx.ConnectConfig(ctx, e.config.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), dialect.LeaveTimeout)
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
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	return ask(ctx)
}

// listenCheck is how long a listening connection may be silent.
const listenCheck = 15 * time.Second
