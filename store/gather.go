package store

import "time"

// Bounds of gathering.
const (
	// gatherFrom is how many callers a transaction answered at least for the next
	// one to wait for company. Below that, a lone caller's time counts for more.
	gatherFrom = 4
	// gatherEnough is company enough: with so many in line, what a transaction costs
	// whatever is in it is no longer most of it.
	gatherEnough = 64
	// gatherWork is work enough, in holds of one product; each product that changes
	// adds as much as gatherChange holds. With many of those, the process and the
	// database had better work at the same time than in turns.
	gatherWork   = 128
	gatherChange = 4
	// gatherShared is company enough where others change the same product, another
	// copy as a rule: it has its turn meanwhile, and the fewer, the better for both.
	gatherShared = 256
	// gatherWait bounds the wait; it is never longer than the last transaction took.
	gatherWait = 2 * time.Millisecond
)

// gathering is a short wait between two transactions, for callers to join. A
// transaction costs the database as much as some forty holds, whatever is in it,
// and those who have just been answered are likely to come again: without the wait
// callers soon go by turns, many in one transaction, one in the next.
type gathering struct {
	want int // how many in line end it
}

// landing is what a transaction has done: how many callers are answered, how many
// products changed, whether others change them too, and how long it took.
type landing struct {
	answered, changed int
	shared            bool
	took              time.Duration
}

// gather has the next transaction wait after one that has landed, until those it
// answered are in line again, behind those who are there already, or enough are.
// Callers hold mu.
func (c *combiner) gather(l landing) {
	if l.answered < gatherFrom || c.gatherWait == 0 {
		return
	}
	enough := gatherEnough
	if l.shared {
		enough = gatherShared
	}
	each := (l.answered + gatherChange*l.changed) / l.answered
	g := &gathering{want: min(l.answered+c.inLine(), enough, max(enough, gatherWork)/each)}
	c.gathering = g
	time.AfterFunc(min(l.took, c.gatherWait), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.gathering == g { // else it has ended, or this is another one
			c.gathering = nil
			c.launch()
		}
	})
}

// gathers tells whether the next transaction still waits; enough in line end the
// wait. Callers hold mu.
func (c *combiner) gathers() bool {
	if c.gathering != nil && c.inLine() >= c.gathering.want {
		c.gathering = nil
	}
	return c.gathering != nil
}
