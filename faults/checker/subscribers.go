package checker

import (
	"fmt"
	"time"

	"onhand/faults/load"
	"onhand/faults/wait"
)

// SubscribersLimit is how long subscribers may lack a change once all faults are healed. An instance that receives nothing
// from Redis polls every 5 s.
const SubscribersLimit = 7 * time.Second

// CheckSubscribers is I8: each subscriber received ever newer versions, over all its sessions ([load.Subscriber.Misordered]
// says what a crash may delay), and has the database's last state of every product.
func (c *Checker) CheckSubscribers() {
	c.T.Helper()
	c.Report("I8", c.AwaitSubscribers(SubscribersLimit, c.Subscribers...))
	for _, sub := range c.Subscribers {
		c.Report("I8", sub.Misordered(c.Crashes...))
		c.T.Logf("%s: %d events in %d sessions", sub.Name, len(sub.Events()), sub.Sessions())
		sub.Stop()
	}
}

// AwaitSubscribers waits until each of these subscribers has the database's state of every product, while no customer
// writes, and lists what they lack after limit.
func (c *Checker) AwaitSubscribers(limit time.Duration, subscribers ...*load.Subscriber) (lacking []string) {
	c.T.Helper()
	wait.Within(limit, func() bool {
		ctx, cancel := reading()
		stored, _, err := c.Stored(ctx) // each time: reservations may expire meanwhile
		cancel()
		c.must(err)
		lacking = nil
		for _, sub := range subscribers {
			latest := sub.Latest()
			for _, id := range c.Target.Products {
				if is, e := stored[id], latest[id]; e.Version != is.Version || e.StateCounts != is.StateCounts {
					lacking = append(lacking, fmt.Sprintf("%s has %s as %+v version %d, and it is %+v version %d", sub, id, e.StateCounts, e.Version, is.StateCounts, is.Version))
				}
			}
		}
		return len(lacking) == 0
	})
	return lacking
}
