package database

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
)

// postgresEngine writes through pgx itself, because database/sql cannot send
// several statements in one round trip.
type postgresEngine struct {
	db     *DB
	sql    *sql.DB
	config *pgx.ConnConfig
	spare  atomic.Pointer[ReservationRows] // of a batch that is done, for the next one
}

func openPostgres(url string, log *slog.Logger) (*DB, *postgresEngine, error) {
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
	db, err := newDB(pool, postgres.New(postgres.Config{Conn: pool}), &postgresFragments, log)
	if err != nil {
		_ = pool.Close()
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	return db, &postgresEngine{db: db, sql: pool, config: config}, nil
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

func (e *postgresEngine) migrations() (string, fs.FS) {
	files, _ := fs.Sub(postgresMigrations, "migrations/postgres") // embedded; cannot fail
	return "postgres", files
}

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
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
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
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
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
