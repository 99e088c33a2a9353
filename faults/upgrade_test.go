package faults

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/process"
	"onhand/store/storetest"
)

// These scenarios restart instances behind the load balancer of deploy/haproxy. No client may notice: nobody asks again.

// TestF22RollingRestartBehindHaproxy: both instances are stopped and started again, twice over, under load. No request
// fails, and subscribers continue at the other instance.
func TestF22RollingRestartBehindHaproxy(t *testing.T) {
	s := Open(t, Setup{Balanced: true, ShortReservations: true, Subscribers: 4})
	l := s.Load()
	for range 2 {
		for _, i := range s.Instances {
			l.More(150)
			s.replace(i, i.Program)
		}
	}
	l.More(200)
	l.Stop()
	l.CheckUndisturbed(t)
	assert.Empty(t, append(l.Attempts.Truncated(), l.PageAttempts.Truncated()...), "truncated answers")
	for _, sub := range s.Subscribers {
		assert.Greater(t, sub.Sessions(), 1, "%s", sub)
		t.Log(sub)
	}
	s.Check()
}

// expand is a migration of a later version that only adds, in the form that docs/running.md asks for.
const expand = `-- +goose Up
SET LOCAL lock_timeout = '1s';
ALTER TABLE products ADD COLUMN brand text;
ALTER TABLE stock_levels ADD COLUMN counted_by text NOT NULL DEFAULT '';
ALTER TABLE reservations ADD COLUMN gift boolean NOT NULL DEFAULT false;
`

// contract is a migration of the version after, which removes what no program uses that knows migration 2.
const contract = `-- +goose Up
SET LOCAL lock_timeout = '1s';
UPDATE onhand_meta SET migration_needed = 2;
ALTER TABLE stock_levels DROP COLUMN counted_by;
`

// TestF23SchemaChange: the tables are expanded while instances of the version before run, instances of both versions run
// on one database, one of them goes back, and the tables are contracted when all have the new version. No request fails.
// The version before is refused only then.
func TestF23SchemaChange(t *testing.T) {
	s := Open(t, Setup{Balanced: true, ShortReservations: true, Subscribers: 2})
	present := s.Instances[0].Program
	expanded := process.BuildWithMigrations(t, "expanded", map[string]string{"00002_expand.sql": expand})
	contracted := process.BuildWithMigrations(t, "contracted", map[string]string{"00002_expand.sql": expand, "00003_contract.sql": contract})
	first, second := s.Instances[0], s.Instances[1]
	l := s.Load()
	l.More(150)
	s.migrates(expanded, "1 migrations applied")
	l.More(150) // both instances have the version before
	s.replace(first, expanded)
	l.More(150)
	s.migrates(present, "0 migrations applied")
	s.replace(first, present) // the new version goes back
	l.More(100)
	s.replace(first, expanded)
	s.replace(second, expanded)
	l.More(150)
	s.migrates(contracted, "1 migrations applied")
	l.More(150)
	s.replace(first, contracted)
	s.replace(second, contracted)
	l.More(150)
	l.Stop()
	l.CheckUndisturbed(t)
	s.migrates(expanded, "0 migrations applied")
	output, err := s.migrate(present)
	require.Error(t, err)
	assert.Contains(t, output, "a newer onhand has migrated its tables: they are at migration 3 and need a program that knows migration 2")
	s.Check()
}

// replace stops an instance as an operator does, and starts this program in its place. Its subscribers continue.
func (s *Shop) replace(i *process.Instance, program string) {
	s.t.Helper()
	began := time.Now()
	i.Stop()
	s.AwaitLive(resumeLimit, s.Subscribers...)
	s.t.Logf("%s stopped within %s", i.Name, time.Since(began).Round(time.Millisecond))
	i.Program = program
	i.Start()
	s.awaitBalanced(i)
}

// awaitBalanced waits until haproxy gives an instance requests.
func (s *Shop) awaitBalanced(i *process.Instance) {
	s.t.Helper()
	s.Await(process.StartLimit, "haproxy knows that "+i.Name+" is back", func() bool {
		m, err := i.Metrics()
		return err == nil && m[requestsMetric] > 20
	})
}

// requestsMetric counts requests that an instance answered.
const requestsMetric = `onhand_requests_total{transport="post"}`

// migrates runs onhand migrate of a program.
func (s *Shop) migrates(program, want string) {
	s.t.Helper()
	output, err := s.migrate(program)
	require.NoError(s.t, err, output)
	require.Equal(s.t, want, strings.TrimSpace(output))
}

func (s *Shop) migrate(program string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	command := exec.CommandContext(ctx, program, "migrate", "--log-level=error")
	command.Env = []string{"DATABASE_URL=" + storetest.OwnerAccount(s.databaseURL), "HOME=" + s.t.TempDir()}
	raw, err := command.CombinedOutput()
	return string(raw), err
}
