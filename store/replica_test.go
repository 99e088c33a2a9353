package store

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/history"
	"onhand/models/paging"
	"onhand/store/database"
	"onhand/store/storetest"
)

// replicated is a store with a read replica of its own.
type replicated struct {
	*Store
	primary, standby *storetest.PostgresServer
}

// replicaConnections bounds the connections to each replica.
const replicaConnections = 16

// openReplicated opens it for the account that a server has. The first probe has succeeded.
func openReplicated(t *testing.T, lagMax, timeout time.Duration) replicated {
	t.Helper()
	primary := storetest.PrivatePostgres(t)
	require.NoError(t, primary.CreateDatabase(t.Context(), "shop"))
	migrate(t, storetest.OwnerAccount(primary.DSN("shop")))
	standby, err := storetest.StartReplica(t.Context(), primary)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	s := open(t, Config{
		DatabaseURL: primary.DSN("shop"), RedisURL: storetest.Redis(t).ServerURL(), RedisTimeout: redisPatience,
		ReplicaURL: storetest.ServerAccount(standby.DSN("shop")) + fastClock(t, primary), ReplicaConnections: replicaConnections, ReplicaLagMax: lagMax, ReplicaTimeout: timeout,
	})
	r := replicated{s, primary, standby}
	r.awaitUse(t)
	return r
}

// fastClock returns what to add to the URL of a server so that its clock is five minutes
// fast.
func fastClock(t *testing.T, primary *storetest.PostgresServer) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.DSN("shop"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE SCHEMA fast GRANT USAGE ON SCHEMA fast TO PUBLIC;
		CREATE FUNCTION fast.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT pg_catalog.clock_timestamp() + interval '5 minutes' $$`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	return "&search_path=fast,pg_catalog,public"
}

// awaitUse waits until the replica answers.
func (r replicated) awaitUse(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return r.replicaReads.State() == nil }, time.Minute, 10*time.Millisecond)
}

// fallbacks counts the reads that the primary answered for one reason.
func (r replicated) fallbacks(t *testing.T, reason string) float64 {
	t.Helper()
	return measured(t, r.Store)["onhand_replica_fallbacks_total{"+reason+"}"]
}

// measuredAt is a metric of a replica.
func (r replicated) measuredAt(t *testing.T, name string, standby *storetest.PostgresServer) float64 {
	t.Helper()
	host, err := url.Parse(standby.DSN("shop"))
	require.NoError(t, err)
	value, found := measured(t, r.Store)[name+"{"+host.Host+"}"]
	require.True(t, found)
	return value
}

// checkPages: every kind of page has what a write has just changed.
func (r replicated) checkPages(t *testing.T, n int) {
	t.Helper()
	title := fmt.Sprintf("title %d", n)
	write(t, r.Store, models.UpsertProducts{IdempotencyKey: title, Rows: []models.ProductRow{{ProductID: "x", Title: models.Patch[string]{Given: true, Value: &title}}}})
	page, err := r.Products(t.Context(), paging.Request{First: 5}, paging.ProductQuery{Search: title})
	require.NoError(t, err)
	require.Len(t, page.Products, 1)

	stock := write(t, r.Store, receive(fmt.Sprint("more ", n), "x", 1)).Stocks[0]
	movements, err := r.Movements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{ProductID: "x"})
	require.NoError(t, err)
	require.Equal(t, stock.Version, movements.Movements[0].Version)
	one, err := r.Movement(t.Context(), movements.Movements[0].MovementID, "x")
	require.NoError(t, err)
	require.Equal(t, stock.Version, one.Version)

	now, err := r.Now(t.Context())
	require.NoError(t, err)
	past, err := r.StockAsOf(t.Context(), "x", now)
	require.NoError(t, err)
	require.Equal(t, stock.Quantity(), past.Quantity())
	histories, err := r.Histories(t.Context(), history.HistoryRequest{ProductIDs: []string{"x"}, Since: now.Add(-time.Hour), Points: 10})
	require.NoError(t, err)
	require.Equal(t, stock.Version, histories[0].Product.Version)
	ranked, err := r.Products(t.Context(), paging.Request{First: 5}, paging.ProductQuery{Search: title, Order: paging.ByQuantity})
	require.NoError(t, err)
	require.Len(t, ranked.Products, 1)
}

// A read replica answers pages. While its replay is paused, and while it is away, the
// primary does: no one reads older data than it has written, and nothing fails.
func TestReadReplica(t *testing.T) {
	t.Parallel()
	r := openReplicated(t, 2*time.Second, patience)
	stockUp(t, r.Store, 5, "x")
	r.checkPages(t, 1)
	require.EqualValues(t, 6, r.measuredAt(t, "onhand_replica_reads_total", r.standby), "fallbacks: %v", measured(t, r.Store))
	require.EqualValues(t, 1, r.measuredAt(t, "onhand_replica_up", r.standby))

	r.checkClock(t)
	require.EqualValues(t, 7, r.measuredAt(t, "onhand_replica_reads_total", r.standby))

	require.NoError(t, r.standby.PauseReplay(t.Context()))
	r.checkPages(t, 2)
	require.EqualValues(t, 6, r.fallbacks(t, "behind")+r.fallbacks(t, "breaker_open"))
	require.LessOrEqual(t, r.fallbacks(t, "behind"), 5.0, "then no read waits")
	eventually(t, func() bool { return r.replicaReads.State() != nil })
	require.ErrorContains(t, r.Health(t.Context()).Replica, "behind")
	require.Positive(t, r.measuredAt(t, "onhand_replica_lag_bytes", r.standby))
	require.NoError(t, r.standby.ResumeReplay(t.Context()))
	r.awaitUse(t)
	r.checkPages(t, 3)

	require.NoError(t, r.standby.Kill())
	r.checkPages(t, 4)
	require.GreaterOrEqual(t, r.fallbacks(t, "failed")+r.fallbacks(t, "breaker_open"), 6.0)
	require.NoError(t, r.standby.Start())
	r.awaitUse(t)
	before := r.measuredAt(t, "onhand_replica_reads_total", r.standby)
	r.checkPages(t, 5)
	require.Greater(t, r.measuredAt(t, "onhand_replica_reads_total", r.standby), before)

	_, err := r.Products(t.Context(), paging.Request{First: 1, After: "no such product"}, paging.ProductQuery{Order: paging.ByTitle})
	require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
	require.NoError(t, r.replicaReads.State(), "a caller's mistake is none of the replica's")
}

// moved returns the products of the next n movements of products "x" and "y" after a cursor.
func (r replicated) moved(t *testing.T, cursor string, n int) (products []string) {
	t.Helper()
	w, err := r.WatchMovements(t.Context(), cursor, models.MovementFilter{})
	require.NoError(t, err)
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range n {
		m, err := w.Next(ctx)
		require.NoError(t, err, "after %v", products)
		products = append(products, m.ProductID)
	}
	return products
}

// What a page of the replica does not show comes after its cursors, once: what had not
// committed when it was read, and what the replica replayed after the position.
func TestReadReplicaCursor(t *testing.T) {
	t.Parallel()
	r := openReplicated(t, 2*time.Second, patience)
	stockUp(t, r.Store, 5, "w", "x", "y", "z")
	outside, err := pgx.Connect(t.Context(), r.primary.DSN("shop"))
	require.NoError(t, err)
	defer outside.Close(context.Background())
	tx, err := outside.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE stock_levels SET available = available + 1 WHERE product_id = 'y'")
	require.NoError(t, err)
	write(t, r.Store, receive("1", "x", 1))

	var movement *models.StockMovement
	_, err = r.replicas[0].Read(t.Context(), patience, func(at *database.Database) error {
		version := write(t, r.Store, receive("2", "z", 1)).Stocks[0].Version
		eventually(t, func() bool {
			replayed, err := at.ReadStocks(t.Context(), []string{"z"})
			return err == nil && replayed.Stocks[0].Version == version
		})
		page, err := at.ReadMovements(t.Context(), paging.MovementRequest{First: 1}, models.MovementFilter{})
		require.NoError(t, err)
		require.Equal(t, "x", page.Movements[0].ProductID)
		movement, err = at.ReadMovement(t.Context(), page.Movements[0].MovementID, "x")
		require.NoError(t, err)
		require.Equal(t, page.Movements[0].Cursor, movement.Cursor)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	write(t, r.Store, receive("3", "w", 1))
	require.ElementsMatch(t, []string{"y", "z", "w"}, r.moved(t, movement.Cursor, 3))
}

// The moment of a read is the primary's, whatever the clock of the replica shows.
func (r replicated) checkClock(t *testing.T) {
	t.Helper()
	now, err := r.Now(t.Context())
	require.NoError(t, err)
	_, err = r.StockAsOf(t.Context(), "x", now.Add(2*time.Minute))
	require.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "it is in the future")
	found, err := r.Histories(t.Context(), history.HistoryRequest{ProductIDs: []string{"x"}, Since: now.Add(-time.Hour), Points: 60})
	require.NoError(t, err)
	require.WithinDuration(t, now, found[0].Until(), patience)
}

// A server that does not replay this primary's log is not read: a promoted standby, and
// another database of the same cluster.
func TestReadReplicaOfAnother(t *testing.T) {
	t.Parallel()
	r := openReplicated(t, 3*time.Second, patience)
	stockUp(t, r.Store, 5, "x")
	require.NoError(t, r.primary.CreateDatabase(t.Context(), "other"))
	migrate(t, storetest.OwnerAccount(r.primary.DSN("other")))
	s := open(t, Config{
		DatabaseURL: r.primary.DSN("other"), RedisURL: storetest.Redis(t).ServerURL(), RedisTimeout: redisPatience,
		ReplicaURL: storetest.ServerAccount(r.standby.DSN("shop")), ReplicaConnections: replicaConnections, ReplicaLagMax: 3 * time.Second, ReplicaTimeout: patience,
	})
	require.Eventually(t, func() bool {
		err := s.replicaReads.State()
		return err != nil && strings.Contains(err.Error(), "another epoch")
	}, time.Minute, 10*time.Millisecond)

	require.NoError(t, r.standby.Promote(t.Context()))
	r.checkPages(t, 1)
	require.Eventually(t, func() bool { // on a busy machine it may have been behind before
		err := r.replicaReads.State()
		return err != nil && strings.Contains(err.Error(), "a primary itself")
	}, time.Minute, 10*time.Millisecond)
	r.checkPages(t, 2)
	require.Positive(t, r.fallbacks(t, "not_standby")+r.fallbacks(t, "breaker_open"))
}

// A frozen replica delays reads until its breaker opens, and no longer than its timeout.
func TestReadReplicaFrozen(t *testing.T) {
	t.Parallel()
	r := openReplicated(t, time.Second, 2*time.Second)
	stockUp(t, r.Store, 5, "x")
	require.NoError(t, r.standby.Freeze())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 5 {
		_, err := r.Movements(ctx, paging.MovementRequest{First: 1}, models.MovementFilter{})
		require.NoError(t, err)
	}
	require.LessOrEqual(t, r.fallbacks(t, "failed"), 1.0, "one read waits, or the probe")
	require.GreaterOrEqual(t, r.fallbacks(t, "breaker_open"), 4.0)
	require.NoError(t, r.standby.Thaw())
	r.awaitUse(t)
}

// SQLite has no replicas.
func TestReadReplicaOfSQLite(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{
		DatabaseURL: "sqlite::memory:", ReplicaURL: "postgres://replica/shop",
		ReplicaConnections: replicaConnections, ReplicaLagMax: patience, ReplicaTimeout: patience,
	})
	require.ErrorContains(t, err, "SQLite has none")
}

// A replica has no bounds by default: they are those of the settings.
func TestReadReplicaNeedsBounds(t *testing.T) {
	t.Parallel()
	for _, config := range []Config{
		{ReplicaLagMax: patience, ReplicaTimeout: patience},
		{ReplicaConnections: replicaConnections, ReplicaTimeout: patience},
		{ReplicaConnections: replicaConnections, ReplicaLagMax: patience},
	} {
		config.DatabaseURL, config.ReplicaURL = "sqlite::memory:", "postgres://replica/shop"
		_, err := Open(config)
		require.ErrorContains(t, err, "read replicas need bounds")
	}
}
