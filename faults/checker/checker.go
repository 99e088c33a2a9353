package checker

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// reportsMax bounds how many lines of one kind of fault a check prints.
	reportsMax = 8
	// auditLimit bounds `onhand audit`.
	auditLimit = 30 * time.Second
)

// Checker checks one shop.
type Checker struct {
	T       testing.TB
	Target  *load.Target
	Opening map[string]int // stock by product
	// Instances are all of them; those that do not run are not asked.
	Instances []*process.Instance
	// Subscribers are those of the setup.
	Subscribers []*load.Subscriber
	// Database and Cache are connections to the servers, not through any proxy.
	Database *pgxpool.Pool
	Cache    redis.UniversalClient
	// DatabaseURL and RedisURL are those for `onhand audit`.
	DatabaseURL, RedisURL string
	// Tolerance is what the checks must allow for.
	Tolerance Tolerance
	// Outages are those of the scenario.
	Outages Outages
	// Crashes are those of the scenario, of instances that had commits which they could not publish.
	Crashes []load.Crash

	monitor *CacheMonitor
}

// Tolerance is what a scenario does to its shop that the checks must allow for.
type Tolerance struct {
	// RedisEmptied: versions in Redis may go back.
	RedisEmptied bool
	// Unreplicated: commits that no standby has are visible for a moment, in Redis too, and lost.
	Unreplicated bool
	// ClockMoved: the clock of the database is not ours. ClockOffsets are by how much, at one time or another; they are far
	// apart beside the length of a scenario.
	ClockMoved   bool
	ClockOffsets []time.Duration
}

// Check checks the invariants I1 to I9 and I11 at the end of a scenario: its load has stopped, its faults are healed, and every
// instance that is to serve runs. It stops the subscribers.
func (c *Checker) Check() {
	c.T.Helper()
	for _, i := range c.Instances {
		if i.Died() {
			c.T.Errorf("%s ended although the scenario did not end it", i.Name)
		}
	}
	c.CheckCache(CacheLimit) // I7; first, because its time runs
	c.CheckSubscribers()     // I8
	c.CheckDatabase(readLimit)
	c.CheckReservations() // I6
	c.CheckHistory()      // I1
	c.CheckAcknowledged() // I3
	c.CheckAudit()
	c.CheckBaseline() // I9
}

// Report fails the test with what is wrong with an invariant.
func (c *Checker) Report(invariant string, found []string) {
	c.T.Helper()
	for i, line := range found {
		if i == reportsMax {
			c.T.Errorf("%s: and %d more", invariant, len(found)-i)
			return
		}
		c.T.Errorf("%s: %s", invariant, line)
	}
}

// must ends the test when a check could not be done.
func (c *Checker) must(err error) {
	c.T.Helper()
	if err != nil {
		c.T.Fatal(err)
	}
}

// serving are the instances that run.
func (c *Checker) serving() (list []*process.Instance) {
	for _, i := range c.Instances {
		if i.Alive() {
			list = append(list, i)
		}
	}
	return list
}

// CheckAudit has the program compare ledger, levels, reservations and Redis in its own way.
func (c *Checker) CheckAudit() {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), auditLimit)
	defer cancel()
	command := exec.CommandContext(ctx, c.Instances[0].Program, "audit")
	command.Env = []string{"DATABASE_URL=" + c.DatabaseURL, "REDIS_URL=" + c.RedisURL, "HOME=" + c.T.TempDir()}
	if output, err := command.CombinedOutput(); err != nil {
		c.T.Errorf("onhand audit: %v\n%s", err, output)
	}
}
