package database_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// otherClock opens the shop as an instance whose database clock may be set some seconds
// ahead.
func (s *shop) otherClock(t *testing.T) (db *database.Database, set func(seconds int)) {
	t.Helper()
	s.exec(`CREATE SCHEMA other; CREATE SEQUENCE other.ahead;
		CREATE FUNCTION other.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
			SELECT pg_catalog.clock_timestamp() + make_interval(secs => last_value::float8) FROM other.ahead $$;
		GRANT USAGE ON SCHEMA other TO PUBLIC; GRANT SELECT ON other.ahead TO PUBLIC`)
	t.Cleanup(func() { s.exec("DROP SCHEMA other CASCADE") })
	u, err := url.Parse(s.url)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", "other,pg_catalog,public") // so that other.clock_timestamp comes first
	u.RawQuery = query.Encode()
	return openOnly(t, u.String()), func(seconds int) { s.exec("SELECT setval('other.ahead', $1)", seconds) }
}

// ReadClock reads the clock that reservations are decided on, not the process's.
func TestReadClock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		before := s.reserved(line("mug", 1)).CreatedAt
		now, err := s.ReadClock(t.Context())
		require.NoError(t, err)
		require.False(t, now.Before(before))
		require.False(t, s.reserved(line("mug", 1)).CreatedAt.Before(now))
	})
}

// ReadClock reads the database's clock, however wrong it is.
func TestReadClockOfAnotherDatabase(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		db, ahead := s.otherClock(t)
		ahead(3600)
		own, err := s.ReadClock(t.Context())
		require.NoError(t, err)
		other, err := db.ReadClock(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, own.Add(time.Hour), other, time.Minute)
	})
}

// The clock of the database goes back while a sweep waits for the levels of an expired
// reservation: the reservation is active again, and the sweep does not end it.
func TestClockGoesBackDuringASweep(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		made := s.reserved(line("mug", 1))
		db, ahead := s.otherClock(t)
		db.SetLockWait(generous)
		ahead(int(2 * reservationTTL.Seconds()))
		unlock := s.lockLevels(t, "mug")
		ended := make(chan int, 1)
		go func() {
			n := 0
			for out, err := range db.ExpireDue(context.Background(), 10) {
				assert.NoError(t, err)
				n += len(out.Reservations)
			}
			ended <- n
		}()
		s.awaitBlocked(t)
		ahead(1)
		unlock()
		require.Zero(t, <-ended)
		require.Equal(t, models.ReservationActive, s.reservation(made.ID).State)
		s.overdue(made.ID)
		require.Equal(t, []string{made.ID}, ids(s.sweep(10)))
	})
}
