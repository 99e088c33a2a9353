package groupcommit

// One ticker answers the waiters whose deadline has passed. A timer for each of them
// would be work for all, for the sake of the few that are late: up to a tenth of the
// process's time at 2,048 callers (docs/decisions.md, record 12).
// [CommitterSwitches].NoTicker gives each caller its timer back.

import (
	"context"
	"time"

	"onhand/models"
)

const (
	// tickInterval is how much later than WaitMax a caller may be answered.
	tickInterval = 100 * time.Millisecond
	// ticksMax is how many ticks a waiter may outlast.
	ticksMax = int(WaitMax / tickInterval)
)

// startTicker has the ticker watch one more waiter. Callers hold mu.
func (c *Committer) startTicker(w *waiter) {
	if c.without.NoTicker {
		return
	}
	w.ticks = c.ticks
	c.tickLater()
}

// tickLater schedules the next tick, if none is. Callers hold mu.
func (c *Committer) tickLater() {
	if !c.ticking {
		c.ticking = true
		time.AfterFunc(tickInterval, c.tick)
	}
}

// tick answers the waiters whose deadline has passed. It ticks again while there are
// others.
func (c *Committer) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticks++
	waiting := c.answerLate(c.queue) + c.answerLate(c.blocked)
	if c.open != nil {
		waiting += c.answerLate(c.open.waiters)
	}
	for g := range c.unanswered {
		waiting += c.answerLate(g.waiters)
	}
	c.ticking = false
	if waiting > 0 {
		c.tickLater()
	}
}

// answerLate answers those of the waiters whose deadline has passed, and counts the
// others. Callers hold mu.
func (c *Committer) answerLate(waiters []*waiter) (waiting int) {
	for _, w := range waiters {
		switch {
		case w.gone || w.answered.Load():
		case c.ticks-w.ticks > ticksMax:
			w.gone = true
			w.answer(models.WriteResult{}, errLate(context.DeadlineExceeded))
		default:
			waiting++
		}
	}
	return waiting
}
