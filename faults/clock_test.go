package faults

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// faketimePlaces are where packages put libfaketime.
var faketimePlaces = []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1"}

// clock is the wall clock of a Postgres, which a scenario sets. Its timers are right.
type clock struct {
	t    *testing.T
	file string
}

// newClock is right at first. Without libfaketime the test is skipped.
func newClock(t *testing.T) (*clock, []storetest.Option) {
	t.Helper()
	var library string
	for _, place := range faketimePlaces {
		if found, _ := filepath.Glob(place); len(found) > 0 {
			library = found[0]
		}
	}
	if library == "" {
		t.Skip("skipped: libfaketime is missing (Debian: apt-get install faketime)")
	}
	directory, err := os.MkdirTemp("", "onhand-clock-") // t.TempDir is ours alone, and Postgres may run as somebody else
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(directory)) })
	require.NoError(t, os.Chmod(directory, 0o755))
	c := &clock{t, filepath.Join(directory, "clock")}
	c.set("+0")
	var options []storetest.Option
	for _, variable := range []string{"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"} {
		options = append(options, storetest.WithEnvironment(variable))
	}
	return c, options
}

// set moves the clock to so much from the right time ("+1h", "-10m").
func (c *clock) set(offset string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.file+".new", []byte(offset+"\n"), 0o644))
	require.NoError(c.t, os.Chmod(c.file+".new", 0o644))
	require.NoError(c.t, os.Rename(c.file+".new", c.file)) // never half a clock
}

// TestF12ClocksJump: the database's clock jumps an hour ahead, and ten minutes back, first at once, so that holds whose
// time was over have time again, then for good. The clock of one copy is an hour ahead all the time, and the other's half
// an hour behind. What the jump ahead ends is ended once and stays so; and neither copy's clock matters.
func TestF12ClocksJump(t *testing.T) {
	clock, options := newClock(t)
	s := Open(t, Plan{PrivatePostgres: true, PostgresOptions: options, OtherClock: true, Walkaways: true, Customers: 16,
		Clocks: []time.Duration{0, time.Hour, 50 * time.Minute}, Think: 3 * time.Millisecond, Skews: []time.Duration{time.Hour, -30 * time.Minute}})
	ctx, cancel := context.WithTimeout(context.Background(), moreLimit)
	defer cancel()
	s.clockIs(ctx, 0)
	s.copiesAreOff()
	load := s.Load()
	load.More(300)
	s.lives(ctx)
	for range 10 { // each time some customers meet holds that the sweepers have not
		clock.set("+1h")
		load.More(6)
		clock.set("+50m")
		load.More(20)
	}
	clock.set("+1h")
	s.clockIs(ctx, time.Hour)
	s.sweptBy(ctx)
	load.More(300)
	over := s.over(ctx)
	clock.set("+50m")
	s.clockIs(ctx, 50*time.Minute)
	load.More(300)
	load.Stop()
	still := s.over(ctx)
	for id := range over {
		assert.True(t, still[id], "hold %s lives again", id)
	}
	t.Logf("%d holds were over after the jump ahead, %d at the end", len(over), len(still))
	assert.Positive(t, len(over))
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	clock.set("+1h") // short holds that were given ten minutes more
	s.Check()
}

// clockIs makes sure that the database's clock is off by so much, give or take what asking takes.
func (s *Scene) clockIs(ctx context.Context, off time.Duration) {
	s.t.Helper()
	var at time.Time
	s.Must(s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at))
	assert.InDelta(s.t, off.Seconds(), time.Until(at).Seconds(), 2, "the database's clock")
}

// copiesAreOff makes sure that the copies' clocks are off by what the plan has: without that they would decide nothing
// even if they were asked.
func (s *Scene) copiesAreOff() {
	s.t.Helper()
	for n, c := range s.Copies {
		response, err := probes.Get(c.URL() + "/healthz")
		s.Must(err)
		s.Must(response.Body.Close())
		at, err := http.ParseTime(response.Header.Get("Date"))
		s.Must(err)
		assert.InDelta(s.t, s.plan.Skews[n].Seconds(), time.Until(at).Seconds(), 2, "the clock of %s, by what it answers", c.Name)
	}
}

// lives makes sure that the copies' clocks decide nothing: what is held for an hour has an hour on the database's clock.
func (s *Scene) lives(ctx context.Context) {
	s.t.Helper()
	wrong, err := lines(ctx, s.pool, `SELECT format('%s is held from %s to %s', owner_ref, created_at, expires_at) FROM reservations
		WHERE abs(extract(epoch FROM clock_timestamp() - created_at)) > 60 OR expires_at - created_at > interval '1 hour 1 minute'`)
	s.Must(err)
	s.report("a server's clock", wrong)
}

// sweptBy waits until no hold past its time is left.
func (s *Scene) sweptBy(ctx context.Context) {
	s.t.Helper()
	began := time.Now()
	s.await(expiryLate+outageRecovery, "holds past their time are given back", func() bool {
		var left int
		s.Must(s.pool.QueryRow(ctx, `SELECT count(*) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= clock_timestamp()`).Scan(&left))
		return left == 0
	})
	s.t.Logf("all holds past their time were given back after %s", time.Since(began).Round(time.Millisecond))
}

// over are the holds that have expired.
func (s *Scene) over(ctx context.Context) map[string]bool {
	s.t.Helper()
	rows, err := s.rows(ctx)
	s.Must(err)
	over := map[string]bool{}
	for _, r := range rows {
		if r.state == stateExpired {
			over[r.id] = true
		}
	}
	return over
}
