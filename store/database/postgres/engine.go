package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"

	"onhand/models"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/dialect"
	"onhand/store/database/postgres/servers"
	"onhand/store/database/postgres/timeline"
)

// Engine is the engine for Postgres. It writes through pgx itself, because database/sql
// cannot send several statements in one round trip. The connections are those of gorm's
// pool, so that gorm and pipelines can share a transaction.
type Engine struct {
	db     *dialect.DB
	sql    *sql.DB
	config *pgx.ConnConfig // of the connection that listens
	guard  *timeline.Guard // of all connections

	silentMax time.Duration // of the connection that listens, before it is checked
	without   dialect.Switches
}

// Open connects to the servers of a postgres:// URL. None of them has to be up.
//
// Errors: a URL that cannot be parsed, without its password.
func Open(url string, log *slog.Logger, without dialect.Switches) (*dialect.DB, *Engine, error) {
	guard := &timeline.Guard{}
	config, err := parseConfig(url, guard)
	if err != nil {
		return nil, nil, fmt.Errorf("database url: %w", err)
	}
	return open(config, guard, log, without)
}

// PooledServer is one server of a URL, with a connection pool of its own.
type PooledServer struct {
	*dialect.DB
	Address string // host:port
}

// OpenEach connects to each server of a postgres:// URL, in its order. None has to be up.
//
// Errors: a URL that cannot be parsed, without its password; more than serversMax servers.
func OpenEach(url string, serversMax int, log *slog.Logger) (each []PooledServer, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", hidePassword(err))
	}
	split := servers.Split(config)
	if len(split) > serversMax {
		return nil, fmt.Errorf("database url: it names %d hosts; at most %d are allowed", len(split), serversMax)
	}
	for _, one := range split {
		guard := &timeline.Guard{}
		prepare(one, guard)
		db, _, err := open(one, guard, log, dialect.Switches{})
		if err != nil {
			for _, opened := range each {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		each = append(each, PooledServer{db, servers.Address(one)})
	}
	return each, nil
}

// open connects to the servers of a configuration.
func open(config *pgx.ConnConfig, guard *timeline.Guard, log *slog.Logger, without dialect.Switches) (*dialect.DB, *Engine, error) {
	options := []stdlib.OptionOpenDB{stdlib.OptionAfterConnect(registerColumns)}
	if serversOf(config) > 1 {
		options = append(options, stdlib.OptionResetSession(guard.Reset))
	}
	pooled := traced(config.Copy())
	if !without.NoPolling {
		pooled.DialFunc = polling(config.DialFunc)
	}
	pool := stdlib.OpenDB(*pooled, options...)
	pool.SetMaxOpenConns(dialect.ConnectionsMax)
	pool.SetMaxIdleConns(dialect.ConnectionsMax)
	pool.SetConnMaxIdleTime(dialect.IdleMax)
	db, err := dialect.NewDB(pool, postgres.New(postgres.Config{Conn: pool}), &fragments, log)
	if err != nil {
		_ = pool.Close()
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	return db, &Engine{db: db, sql: pool, config: config, guard: guard, silentMax: listenCheck, without: without}, nil
}

// ListenAt implements [dialect.Engine].
func (e *Engine) ListenAt(url string) error {
	config, err := parseConfig(url, e.guard)
	if err != nil {
		return fmt.Errorf("database-listen-url: %w", err)
	}
	e.config = config
	return nil
}

// parseConfig reads a postgres:// URL. Where it names several servers, connections pass the
// guard.
//
// Errors: a URL that cannot be parsed, without its password.
func parseConfig(url string, guard *timeline.Guard) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, hidePassword(err)
	}
	prepare(config, guard)
	return config, nil
}

// prepare sets the connect timeout and the application name, where the URL has none, and
// installs the guard where there are several servers.
func prepare(config *pgx.ConnConfig, guard *timeline.Guard) {
	count := serversOf(config)
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialect.ConnectTimeout / time.Duration(count)
	}
	if _, set := config.RuntimeParams["application_name"]; !set {
		config.RuntimeParams["application_name"] = "onhand"
	}
	if count > 1 {
		guard.Install(config)
	}
}

// json writes JSON as the switches say.
func (e *Engine) json() rowjson.JSON { return rowjson.JSON{Std: e.without.NoHandwrittenJSON} }

// serversOf counts the servers that a URL names. They are tried in turn: silent ones must
// leave the last one its share of a read's time.
func serversOf(config *pgx.ConnConfig) int { return len(servers.Split(config)) }

// hidePassword replaces a parse error of pgx, which quotes the whole URL.
func hidePassword(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("cannot be understood (want postgres://user:password@host:port/database)")
	}
	return err
}

//go:embed migrations
var migrationFiles embed.FS

// Migrations implements [dialect.Engine].
func (e *Engine) Migrations() (string, fs.FS) {
	files, _ := fs.Sub(migrationFiles, "migrations") // embedded; cannot fail
	return "postgres", files
}

// transaction is a transaction on one connection that sends pipelines.
type transaction struct {
	engine   *Engine
	conn     *sql.Conn
	lockWait time.Duration
	begun    bool
}

// Begin implements [dialect.Engine].
func (e *Engine) Begin(ctx context.Context, lockWait time.Duration) (dialect.Transaction, error) {
	return e.beginTx(ctx, lockWait)
}

func (e *Engine) beginTx(ctx context.Context, lockWait time.Duration) (*transaction, error) {
	conn, err := e.sql.Conn(ctx)
	if err != nil {
		return nil, dialect.MarkConnectRetry(err)
	}
	return &transaction{engine: e, conn: conn, lockWait: lockWait}, nil
}

// pipeline sends statements in one round trip and reads their answers. The first
// pipeline of a transaction starts with its BEGIN, unless the transaction is that one
// pipeline (skipBegin).
func (t *transaction) pipeline(ctx context.Context, queue func(*pgx.Batch)) error {
	return t.conn.Raw(func(driverConn any) error {
		batch := &pgx.Batch{}
		if !t.begun {
			t.begun = true
			batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
			batch.Queue("SELECT set_config('onhand.writer', 'ledger_versions_outbox', true), set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)",
				t.lockWaitText(), dialect.IdleTxTimeout)
		}
		queue(batch)
		return dialect.MarkRetry(driverConn.(*stdlib.Conn).Conn().SendBatch(ctx, batch).Close())
	})
}

// skipBegin makes the next pipeline the whole transaction: Postgres commits a pipeline as
// one transaction without BEGIN and COMMIT, in the server's default isolation.
func (t *transaction) skipBegin() { t.begun = true }

// lockWaitText is how long to wait for a lock, as the server's setting: milliseconds.
func (t *transaction) lockWaitText() string { return strconv.FormatInt(t.lockWait.Milliseconds(), 10) }

// Rollback implements [dialect.Transaction]. It returns the connection to the pool; a
// connection that cannot roll back is closed.
func (t *transaction) Rollback() {
	RollBack(t.conn)
	_ = t.conn.Close()
}

// RollBack ends the transaction of a connection of this engine. A connection that cannot
// roll back is closed.
func RollBack(conn *sql.Conn) {
	_ = conn.Raw(func(driverConn any) error {
		c := driverConn.(*stdlib.Conn).Conn()
		if c.IsClosed() || c.PgConn().TxStatus() == 'I' {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), dialect.LeaveTimeout)
		defer cancel()
		if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
			_ = c.Close(ctx)
		}
		return nil
	})
}

const claimOutboxSQL = "SELECT outbox_id, product_id, version FROM outbox ORDER BY outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED"

// aheadSQL reads the stock of all products in the outbox if it has at most $1 rows. Its
// snapshot is taken after the claim.
var aheadSQL = func() string {
	of := fragments
	of.IDs = `(SELECT DISTINCT product_id FROM outbox WHERE (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1 + 1) o) <= $1)`
	return dialect.StockSelect(&of)
}()

// Drain implements [dialect.Engine]. It takes one round trip before publish and one after.
func (e *Engine) Drain(ctx context.Context, limit, ahead int, idle time.Duration, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	t, err := e.beginTx(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer t.Rollback()
	t.skipBegin() // its own begin has the bounds of a write
	var ids []int64
	var changes []models.Change
	var stocks []*models.Stock
	var unreadable error // a poison row; the claim stands
	err = t.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
		batch.Queue("SELECT set_config('idle_in_transaction_session_timeout', $1, true)", strconv.FormatInt(idle.Milliseconds(), 10))
		batch.Queue(claimOutboxSQL, limit).Query(func(rows pgx.Rows) error {
			var id int64
			var change models.Change
			_, err := pgx.ForEachRow(rows, []any{&id, &change.ProductID, &change.Version}, func() error {
				ids, changes = append(ids, id), append(changes, change)
				return nil
			})
			return err
		})
		if ahead > 0 {
			batch.Queue(aheadSQL, ahead).Query(func(rows pgx.Rows) error {
				stocks, _, unreadable = dialect.CollectStocks(rows)
				return unreadable
			})
		}
	})
	var refused *pgconn.PgError
	if unreadable != nil && !errors.As(err, &refused) {
		stocks, err = nil, nil
	}
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := publish(ctx, changes, stocks); err != nil {
		return 0, err
	}
	return len(ids), t.pipeline(ctx, func(batch *pgx.Batch) {
		batch.Queue("DELETE FROM outbox WHERE outbox_id = ANY ($1)", ids)
		batch.Queue("COMMIT")
	})
}

// Listen implements [dialect.Engine].
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
		if throughPooler(ctx, conn) { // LISTEN would succeed, at a server that the next client gets
			return errPooled
		}
		_, err := conn.Exec(ctx, "LISTEN inventory_change")
		return err
	}); err != nil {
		return err
	}
	for {
		wake()
		// A silent connection may be half open, so it is checked.
		wait, cancel := context.WithTimeout(ctx, e.silentMax)
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
			if err := e.guard.Reset(ctx, conn); err != nil {
				return fmt.Errorf("another server was promoted: %w", err)
			}
		}
	}
}

// errPooled says why no notification would arrive.
var errPooled = errors.New("a connection pooler is between this instance and the database, which passes on no notifications")

// answered bounds one request on a connection that has no deadline of its own.
func answered(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	return ask(ctx)
}

// listenCheck is how long a listening connection may be silent before it is checked.
const listenCheck = 15 * time.Second
