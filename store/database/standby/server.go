package standby

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/semaphore"

	"onhand/store/database/dialect"
	"onhand/store/database/postgres"
)

// HotStandby is a hot standby. It is safe for concurrent use.
type HotStandby struct {
	db      *dialect.DB
	address string
	slots   *semaphore.Weighted // one for each connection

	connections int
}

// HostsMax is how many standbys a URL may name.
const HostsMax = 8

// Open connects to the standbys of a postgres:// URL, with that many connections at most to
// each. None has to be up.
//
// Errors: a URL that cannot be parsed, without its password, or with more than HostsMax hosts.
func Open(url string, connections int, log *slog.Logger) (standbys []*HotStandby, err error) {
	servers, err := postgres.OpenEach(url, HostsMax, log)
	if err != nil {
		return nil, err
	}
	for _, server := range servers {
		server.SQL.SetMaxOpenConns(connections)
		server.SQL.SetMaxIdleConns(connections)
		fragments := *server.Fragments
		fragments.Now = "current_setting('onhand.now')::timestamptz" // the primary's; see begin
		server.Fragments = &fragments
		standbys = append(standbys, &HotStandby{
			db: server.DB, address: server.Address, slots: semaphore.NewWeighted(int64(connections)), connections: connections,
		})
	}
	return standbys, nil
}

// Address is the host and port of the standby.
func (s *HotStandby) Address() string { return s.address }

// Close closes all connections.
func (s *HotStandby) Close() error { return s.db.Close() }

// Connections returns the numbers of the connection pool.
func (s *HotStandby) Connections() sql.DBStats { return s.db.Connections() }

// Read calls read with a database whose sessions see everything that was committed at a
// position, and whose clock shows the position's moment. It waits for a free connection, and
// for the standby, each so long. lag is how many bytes of the log the standby had to replay
// when it was asked first.
//
// Errors: ErrBusy, ErrBehind, ErrOther; those of read; any other of the server.
func (s *HotStandby) Read(ctx context.Context, at LogPosition, wait time.Duration, read func(*dialect.DB) error) (lag int64, err error) {
	if err := s.enter(ctx, wait); err != nil {
		return 0, err
	}
	defer s.slots.Release(1)
	conn, err := s.db.SQL.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer postgres.RollBack(conn)
	var found state
	var refused error
	err = conn.Raw(func(driverConn any) error {
		found, refused = begin(ctx, driverConn.(*stdlib.Conn).Conn(), at, wait)
		if errors.Is(refused, ErrOther) {
			return driver.ErrBadConn // closes the connection
		}
		return refused
	})
	switch {
	case errors.Is(refused, ErrOther):
		s.closeIdle()
		return found.lagBytes, refused
	case err != nil:
		return found.lagBytes, err
	}
	return found.lagBytes, read(s.onConnection(ctx, conn))
}

// closeIdle closes the connections that are not in use: they lead to a server that is no
// standby any more, and the host's name may lead to another one now.
func (s *HotStandby) closeIdle() {
	s.db.SQL.SetMaxIdleConns(0)
	s.db.SQL.SetMaxIdleConns(s.connections)
}

// enter waits for a free connection.
func (s *HotStandby) enter(ctx context.Context, wait time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if s.slots.TryAcquire(1) || s.slots.Acquire(waiting, 1) == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrBusy
}

// onConnection is a database whose statements all use one connection.
func (s *HotStandby) onConnection(ctx context.Context, conn *sql.Conn) *dialect.DB {
	return &dialect.DB{Gorm: s.db.Session(ctx, conn), SQL: s.db.SQL, Fragments: s.db.Fragments, Log: s.db.Log}
}

// begin begins a transaction and compares the standby with a position, in one round trip.
// If need be it waits for the standby.
func begin(ctx context.Context, conn *pgx.Conn, at LogPosition, wait time.Duration) (found state, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
	batch.Queue("SELECT set_config('onhand.now', $1, true)", at.Now.UTC().Format(time.RFC3339Nano))
	batch.Queue(stateSQL, at.LSN).QueryRow(found.scan)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return found, fmt.Errorf("ask the standby: %w", err)
	}
	if err := found.check(at); err != nil || found.replayed {
		return found, err
	}
	return found, found.await(ctx, conn, at, wait)
}
