package database_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// failUpdates makes Postgres refuse this many updates of levels with a code, as in a
// deadlock. attempts returns how many updates it has seen.
func (s *shop) failUpdates(t *testing.T, times int, code string) (attempts func() int64) {
	t.Helper()
	s.exec("CREATE SEQUENCE update_attempts")
	s.exec("GRANT USAGE ON SEQUENCE update_attempts TO PUBLIC")
	s.exec(fmt.Sprintf(`CREATE FUNCTION fail_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('update_attempts') <= %d THEN RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END IF;
		RETURN NULL; END $$`, times, code))
	s.exec("CREATE TRIGGER fail_update BEFORE UPDATE ON stock_levels FOR EACH STATEMENT EXECUTE FUNCTION fail_update()")
	t.Cleanup(func() { s.exec("DROP FUNCTION fail_update CASCADE; DROP SEQUENCE update_attempts") })
	return func() int64 { return s.number("SELECT last_value FROM update_attempts") }
}

// always is more refusals than any test has updates.
const always = 1 << 30

// A write that deadlocks or cannot be serialized is retried until it succeeds, within
// its deadline.
func TestContentionIsOutlasted(t *testing.T) {
	for _, code := range []string{"40P01", "40001"} {
		t.Run(code, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				s.stock("mug", "north", 5)
				const times = database.AttemptsMax + 4
				attempts := s.failUpdates(t, times, code)
				s.reserved(line("mug", 1))
				require.Equal(t, int64(times+1), attempts())
				require.Equal(t, models.Quantities{Available: 4, Reserved: 1}, s.level("mug", "north"))
			})
		})
	}
}

// A write is retried no longer than its deadline, and no more often than the bounds of
// attempts.
func TestAttemptsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		code        string
		limit       time.Duration
		least, most int64
	}{
		"out of time":        {"40P01", time.Second, database.AttemptsMax + 1, database.ContendedMax - 1},
		"without a deadline": {"40P01", time.Hour, database.ContendedMax, database.ContendedMax},
		"a full disk":        {"53100", time.Hour, database.AttemptsMax, database.AttemptsMax},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, []string{postgres}, func(t *testing.T, s *shop) {
				if testing.Short() && c.most == database.ContendedMax {
					t.Skip("the pauses between attempts add up to seven seconds")
				}
				s.stock("mug", "north", 5)
				s.SetWriteLimit(c.limit)
				attempts, began := s.failUpdates(t, always, c.code), time.Now()
				_, err := s.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 1))})
				require.Equal(t, models.CodeUnavailable, models.CodeOf(err), err)
				require.ErrorContains(t, err, "too busy")
				require.Less(t, time.Since(began), min(c.limit, 2*database.WriteTimeout)+quick)
				require.GreaterOrEqual(t, attempts(), c.least)
				require.LessOrEqual(t, attempts(), c.most)
				require.Equal(t, models.Quantities{Available: 5}, s.level("mug", "north"))
			})
		})
	}
}
