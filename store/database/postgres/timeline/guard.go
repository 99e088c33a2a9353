package timeline

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Patience is how long servers of older timelines are refused while none of the latest one
// answers. Taking a connection of the pool counts as an answer, although the server may be
// away: each of them is taken once more, fails and is closed, so that the time begins with
// the last of them at the latest.
const Patience = time.Minute

// OfPrimary is SQL for the timeline of a primary, as bigint.
const OfPrimary = `('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int::bigint`

// identifySQL is of one statement, so that a pooler cannot part it.
const identifySQL = `SELECT system_identifier::text, CASE WHEN pg_is_in_recovery() THEN 0 ELSE ` + OfPrimary + ` END::text FROM pg_control_system()`

// Guard knows the latest timelines. The zero Guard is ready. It is safe for concurrent use.
type Guard struct {
	mu     sync.Mutex
	latest map[string]*latest // by cluster
}

// latest is the latest timeline of a cluster, and when a server of it answered last.
type latest struct {
	timeline int64
	seen     time.Time
}

// serverTimeline is where a connection leads; zero where the server does not tell.
type serverTimeline struct {
	cluster  string
	timeline int64
}

// timelineKey is the key of a connection's serverTimeline in its CustomData.
const timelineKey = "onhand.timeline"

// Install makes the connections of a configuration pass the guard.
func (g *Guard) Install(config *pgx.ConnConfig) {
	validate := config.ValidateConnect
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, conn); err != nil {
				return err
			}
		}
		at, err := identify(ctx, conn)
		if err != nil {
			return err
		}
		conn.CustomData()[timelineKey] = at
		return g.admit(at, time.Now())
	}
}

// Reset discards a connection to a replaced primary, before its next use.
func (g *Guard) Reset(_ context.Context, conn *pgx.Conn) error {
	at, _ := conn.PgConn().CustomData()[timelineKey].(serverTimeline)
	if g.admit(at, time.Now()) != nil {
		return driver.ErrBadConn
	}
	return nil
}

// identify asks a server for its cluster and timeline.
func identify(ctx context.Context, conn *pgconn.PgConn) (at serverTimeline, err error) {
	result := conn.ExecParams(ctx, identifySQL, nil, nil, nil, nil).Read()
	if ctx.Err() != nil || conn.IsClosed() {
		return at, fmt.Errorf("ask for the timeline: %w", cmp.Or(errors.Join(ctx.Err(), result.Err), net.ErrClosed))
	}
	if result.Err != nil || len(result.Rows) != 1 || len(result.Rows[0]) != 2 {
		return at, nil // another engine, or an account without the right
	}
	timeline, err := strconv.ParseInt(string(result.Rows[0][1]), 10, 64)
	if err != nil || timeline == 0 {
		return at, nil
	}
	return serverTimeline{string(result.Rows[0][0]), timeline}, nil
}

// admit refuses a server of an older timeline.
func (g *Guard) admit(at serverTimeline, now time.Time) error {
	if at.timeline == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.latest[at.cluster]
	if known != nil && at.timeline < known.timeline && now.Sub(known.seen) < Patience {
		return fmt.Errorf("the server is on timeline %d, and another one was promoted to timeline %d", at.timeline, known.timeline)
	}
	if known == nil {
		if g.latest == nil {
			g.latest = map[string]*latest{}
		}
		known = &latest{}
		g.latest[at.cluster] = known
	}
	known.timeline, known.seen = at.timeline, now
	return nil
}
