package faults

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/store/storetest"
)

// faketimePaths are where packages put libfaketime.
var faketimePaths = []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1"}

// clockTolerance is by how many seconds a clock may be off what it was set to: asking it takes time.
const clockTolerance = 2

// databaseClock is the wall clock of a Postgres, which a scenario sets. Its timers are right.
type databaseClock struct {
	t    *testing.T
	file string
}

// newDatabaseClock is right at first. Without libfaketime the test is skipped.
func newDatabaseClock(t *testing.T) (*databaseClock, []storetest.Option) {
	t.Helper()
	var library string
	for _, path := range faketimePaths {
		if found, _ := filepath.Glob(path); len(found) > 0 {
			library = found[0]
		}
	}
	if library == "" {
		t.Skip("skipped: libfaketime is missing (Debian: apt-get install faketime)")
	}
	directory, err := os.MkdirTemp("", "onhand-clock-") // Postgres may run as another account, which cannot read t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(directory)) })
	require.NoError(t, os.Chmod(directory, 0o755))
	c := &databaseClock{t, filepath.Join(directory, "clock")}
	c.set("+0")
	var options []storetest.Option
	for _, variable := range []string{
		"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
	} {
		options = append(options, storetest.WithEnvironment(variable))
	}
	return c, options
}

// set moves the clock by an offset ("+1h", "-10m") from the right time.
func (c *databaseClock) set(offset string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.file+".new", []byte(offset+"\n"), 0o644))
	require.NoError(c.t, os.Chmod(c.file+".new", 0o644))
	require.NoError(c.t, os.Rename(c.file+".new", c.file)) // never half a file
}

// TestF12ClocksJump: the database's clock jumps an hour ahead and ten minutes back, first at once, so that reservations
// whose time was over have time again, then for good. The clock of one instance is an hour ahead all the time, that of the
// other half an hour slow. What the jump ahead ends is ended once and stays ended; and the instances' clocks do not matter.
func TestF12ClocksJump(t *testing.T) {
	clock, options := newDatabaseClock(t)
	s := Open(t, Setup{
		PrivatePostgres: true, PostgresOptions: options, ClockMoved: true, ClockOffsets: []time.Duration{0, time.Hour, 50 * time.Minute},
		InstanceClocks: []time.Duration{time.Hour, -30 * time.Minute}, ShortReservations: true, Customers: 16, ThinkTime: 3 * time.Millisecond,
	})
	s.checkDatabaseClock(0)
	s.checkInstanceClocks()
	l := s.Load()
	l.More(300)
	wrong, err := s.Checker.OffClock()
	s.Must(err)
	s.Checker.Report("an instance's clock", wrong)
	for range 10 { // each time some customers ask for reservations that the sweepers have not ended yet
		clock.set("+1h")
		l.More(6)
		clock.set("+50m")
		l.More(20)
	}
	clock.set("+1h")
	s.checkDatabaseClock(time.Hour)
	began := time.Now()
	s.Checker.AwaitSwept()
	t.Logf("all reservations past their time were released after %s", time.Since(began).Round(time.Millisecond))
	l.More(300)
	expired := s.expired()
	clock.set("+50m")
	s.checkDatabaseClock(50 * time.Minute)
	l.More(300)
	l.Stop()
	still := s.expired()
	for id := range expired {
		assert.True(t, still[id], "%s is live again", id)
	}
	t.Logf("%d reservations were expired after the jump ahead, %d at the end", len(expired), len(still))
	assert.Positive(t, len(expired))
	l.CheckRetryable(t)
	clock.set("+1h") // for short reservations that got ten minutes more
	s.Check()
}

// checkDatabaseClock makes sure that the database's clock has this offset.
func (s *Shop) checkDatabaseClock(offset time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), load.MoreLimit)
	defer cancel()
	var at time.Time
	s.Must(s.Checker.Database.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at))
	assert.InDelta(s.t, offset.Seconds(), time.Until(at).Seconds(), clockTolerance, "the database's clock")
}

// checkInstanceClocks makes sure that the instances' clocks have their offsets; otherwise the scenario would prove nothing.
func (s *Shop) checkInstanceClocks() {
	s.t.Helper()
	for n, i := range s.Instances {
		at, err := i.Date()
		s.Must(err)
		assert.InDelta(s.t, s.setup.InstanceClocks[n].Seconds(), time.Until(at).Seconds(), clockTolerance, "the clock of %s, by its answers", i.Name)
	}
}

// expired are the reservations that have expired.
func (s *Shop) expired() map[string]bool {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	rows, err := s.Checker.Reservations(ctx)
	s.Must(err)
	expired := map[string]bool{}
	for _, r := range rows {
		if r.State == model.StateExpired {
			expired[r.ID] = true
		}
	}
	return expired
}
