package standby

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/store/database/dialect"
	"onhand/store/database/postgres/timeline"
)

// LogPosition is how far the log of a primary had come.
type LogPosition struct {
	LSN       string    // of the end of the log
	Timeline  int64     // grows when a standby is promoted
	System    int64     // the identifier of the database cluster
	Epoch     string    // of the database
	Committed string    // what had committed, as a pg_snapshot: part of what is before LSN
	Now       time.Time // by the clock of the primary
}

// positionSQL reads the position of a primary. The insert position is at or after the end of
// every commit that anyone can have seen, also one that is not flushed yet
// (synchronous_commit = off). The snapshot is that of the statement, which is taken first.
const positionSQL = `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
	current_setting('wal_block_size')::bigint, pg_size_bytes(current_setting('wal_segment_size')), ` + timeline.OfPrimary + `,
	(SELECT system_identifier FROM pg_control_system()), m.epoch, pg_current_snapshot()::text, clock_timestamp() FROM onhand_meta m`

// Headers of the log: of its pages, and of the first page of each segment.
const (
	pageHeader    = 24
	segmentHeader = 40
)

// logEnd is the end of the last record at an insert position. Where that record filled its
// page, or ended its segment, the insert position is behind the next header, and no standby
// replays a header before the record after it.
func logEnd(insert, page, segment int64) string {
	switch {
	case insert%segment == segmentHeader:
		insert -= segmentHeader
	case insert%page == pageHeader:
		insert -= pageHeader
	}
	return fmt.Sprintf("%X/%X", uint64(insert)>>32, uint32(insert))
}

// stateSQL reads the state of a standby and compares it with a position. The epoch is that
// of its snapshot, which may be older than what it has replayed. The timeline is
// the latest one that the standby is known to replay: of its last restart point, of its
// last flushed page, or of the log that it receives, which not every account may see.
// Each of the three may be late, and none is early.
const stateSQL = `SELECT pg_is_in_recovery(),
	coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false),
	greatest(pg_wal_lsn_diff($1::pg_lsn, coalesce(pg_last_wal_replay_lsn(), $1::pg_lsn)), 0)::bigint,
	greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
		(SELECT max(received_tli) FROM pg_stat_wal_receiver))::bigint,
	(SELECT system_identifier FROM pg_control_system()), m.epoch FROM onhand_meta m`

var (
	// ErrBehind says that the standby has not replayed the position in time.
	ErrBehind = errors.New("the standby is behind the primary")
	// ErrNotFlushed says that it cannot have: the primary has not flushed the position.
	ErrNotFlushed = errors.New("the primary has not flushed its log, so the standby is behind")
	// ErrBusy says that no connection to the standby was free in time.
	ErrBusy = errors.New("all connections to the standby are in use")
	// ErrOther wraps why a server is no standby of this primary.
	ErrOther = errors.New("the server is not a standby of the primary")
	// ErrPosition wraps why the primary did not give its position.
	ErrPosition = errors.New("the position of the primary is not known")
)

// PositionOf asks a primary for its position.
//
// Errors: ErrPosition.
func PositionOf(ctx context.Context, primary *dialect.DB) (at LogPosition, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	var insert, page, segment int64
	err = primary.SQL.QueryRowContext(ctx, positionSQL).
		Scan(&insert, &page, &segment, &at.Timeline, &at.System, &at.Epoch, &at.Committed, &at.Now)
	if err != nil {
		return at, fmt.Errorf("%w: %w", ErrPosition, err)
	}
	at.LSN = logEnd(insert, page, segment)
	return at, nil
}

// Flushed reports whether a primary has flushed its log up to a position, so that it sends it
// to standbys. What is no commit (a vacuumed page, a transaction that was rolled back) is
// flushed by the next commit, or after 15 s by the background writer.
func Flushed(ctx context.Context, primary *dialect.DB, at LogPosition) (flushed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	err = primary.SQL.QueryRowContext(ctx, "SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn", at.LSN).Scan(&flushed)
	return flushed, err
}

// state is what a standby says of itself, compared with a position.
type state struct {
	recovering, replayed bool
	lagBytes             int64
	timeline, system     int64
	epoch                string
}

func (s *state) scan(row pgx.Row) error {
	return row.Scan(&s.recovering, &s.replayed, &s.lagBytes, &s.timeline, &s.system, &s.epoch)
}

// check reports why the server is no standby of the primary that gave the position. A
// standby that has not replayed the position may have an older epoch.
func (s *state) check(at LogPosition) error {
	switch {
	case s.system != at.System:
		return fmt.Errorf("%w: it belongs to another database cluster", ErrOther)
	case !s.recovering:
		return fmt.Errorf("%w: it is a primary itself", ErrOther)
	case s.timeline != at.Timeline:
		return fmt.Errorf("%w: it is on timeline %d, the primary on %d", ErrOther, s.timeline, at.Timeline)
	case s.replayed && s.epoch != at.Epoch:
		return fmt.Errorf("%w: its database has another epoch", ErrOther)
	}
	return nil
}

// Bounds of the interval in which a read that waits asks the standby again.
const (
	askMin = time.Millisecond
	askMax = 20 * time.Millisecond
)

// await asks a standby until it has replayed a position.
//
// Errors: ErrBehind, ErrOther; any other of the server; that of ctx.
func (s *state) await(ctx context.Context, conn *pgx.Conn, at LogPosition, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	for interval := askMin; time.Now().Before(deadline); interval = min(2*interval, askMax) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(interval, time.Until(deadline))):
		}
		lag := s.lagBytes
		if err := s.scan(conn.QueryRow(ctx, stateSQL, at.LSN)); err != nil {
			return err
		}
		s.lagBytes = lag // as it was at first
		if err := s.check(at); err != nil || s.replayed {
			return err
		}
	}
	return ErrBehind
}
