package database_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// A conditional batch inserts its reservations before it locks levels, a compare-and-set
// after that. So two instances that get one key at one moment can wait for each other.
// The lock timeout, or else the server's deadlock check, ends one of the two. Its
// reservation is decided under lock: one is made, and both callers get it.
func TestOneKeyInOppositeOrder(t *testing.T) {
	for name, is := range map[string]struct {
		lockWait time.Duration
		code     string
	}{
		"lock timeout":   {500 * time.Millisecond, "55P03"},
		"deadlock check": {4 * time.Second, "40P01"}, // after deadlock_timeout, one second
	} {
		t.Run(name, func(t *testing.T) {
			onContended(t, func(t *testing.T, s *shop, other *database.Database) {
				s.SetLockWait(is.lockWait)
				other.SetLockWait(is.lockWait)
				before := s.level("cup", "north")
				w := reserve(line("cup", 2))
				conditional, compared := s.begun(w), other.Begin()
				require.True(t, compared.Add(other.Prepare(w)))

				unlock := s.lockLevels(t, "cup")
				results := make(chan database.BatchResult, 2)
				go func() { results <- compared.Commit(t.Context()) }() // first in line for the level
				s.awaitNthBlocked(t, 1)
				go func() { results <- conditional.Commit(t.Context()) }() // with its reservation inserted
				s.awaitNthBlocked(t, 2)
				unlock()

				var codes []string
				var ids []string
				replayed := 0
				for range 2 {
					r := <-results
					require.NoError(t, r.Results[0].Fault)
					require.Empty(t, r.Results[0].Errors)
					ids = append(ids, r.Results[0].Reservation.ID)
					if r.Results[0].Replayed {
						replayed++
					}
					for _, sent := range r.Transactions {
						var refused *pgconn.PgError
						if errors.As(sent.Err, &refused) {
							codes = append(codes, refused.Code)
						}
					}
				}
				require.Contains(t, codes, is.code, "they waited for each other")
				require.Equal(t, ids[0], ids[1])
				require.Equal(t, 1, replayed)
				before.Available, before.Reserved = before.Available-2, before.Reserved+2
				require.Equal(t, before, s.level("cup", "north"))
				require.Equal(t, int64(1), s.number("SELECT count(*) FROM reservations WHERE reservation_id = $1", keyOf(ids[0])))
				s.ok(models.Resolve{IdempotencyKey: "end", ID: ids[0], To: models.ReservationReleased})
			})
		})
	}
}

// awaitNthBlocked waits until n connections of Onhand wait for locks.
func (s *shop) awaitNthBlocked(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		return s.number(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = 'onhand' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`) >= n
	}, generous, poll)
}
