package store

import "time"

// Bounds of gathering.
const (
	// gatherFrom is how many callers a transaction had at least for the next one
	// to wait for company. Below that, a lone caller's time counts for more.
	gatherFrom = 4
	// gatherEnough is company enough: with so many more, what a transaction costs
	// whatever is in it is no longer most of it.
	gatherEnough = 64
	// gatherWait bounds the wait; it is never longer than the last transaction took.
	gatherWait = 2 * time.Millisecond
)

// gathering is a short wait between two transactions, for callers to join. One of
// its own costs the database as much as forty holds do, and those who have just
// been answered are likely to come again: without it they soon go by turns, one
// in a transaction with many, the other almost alone.
type gathering struct{ want int }

// gather has the next transaction wait, after one of so many that took so long.
// Callers hold mu.
func (c *combiner) gather(answered int, took time.Duration) {
	if answered < gatherFrom || c.gatherWait == 0 {
		return
	}
	g := &gathering{min(gatherEnough, answered+c.inLine())}
	c.gathering = g
	time.AfterFunc(min(took, c.gatherWait), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.gathering == g {
			c.gathering = nil
			c.launch()
		}
	})
}

// gathers tells whether the next transaction still waits. Callers hold mu.
func (c *combiner) gathers() bool {
	if c.gathering != nil && c.inLine() >= c.gathering.want {
		c.gathering = nil
	}
	return c.gathering != nil
}
