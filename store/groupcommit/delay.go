package groupcommit

// The commit delay is a short wait between two batches. A transaction costs the
// database as much as some forty reservations do, and the callers that were just
// answered are likely to come again. Without the wait, batches soon alternate between
// nearly all callers and one or two: 8 callers are a third slower and 64 an eighth
// (docs/decisions.md, record 8). [CommitterSwitches].NoCommitDelay switches it off.

import "time"

// Bounds of the commit delay.
const (
	// delayFrom is how many waiters a batch must have answered for the next batch to
	// be delayed. Below that, the time of a lone caller counts for more.
	delayFrom = 4
	// delayTarget waiters end the delay: with so many, the fixed cost of a transaction
	// is no longer most of it.
	delayTarget = 64
	// delayWork bounds the target by work, counted in reservations of one product. Each
	// product that changes counts as delayWorkPerProduct of them. With much work, the
	// process and the database are faster when they work at the same time.
	delayWork           = 128
	delayWorkPerProduct = 4
	// delayTargetContended is the target where another instance changes the same
	// products. It has its turn during the delay, and fewer turns are better for both.
	delayTargetContended = 256
	// commitDelayMax bounds the delay. It is never longer than the last batch took.
	commitDelayMax = 2 * time.Millisecond
)

// commitDelay is the delay of the next batch.
type commitDelay struct {
	target int // so many waiters end it
}

// finishedBatch is what the delay after a batch depends on.
type finishedBatch struct {
	answered, changed int // waiters, and products
	contended         bool
	took              time.Duration
}

// startDelay delays the next batch until as many waiters have come as were just
// answered, besides those that are queued already, or until there are enough.
// Callers hold mu.
func (c *Committer) startDelay(last finishedBatch) {
	if c.without.NoCommitDelay || last.answered < delayFrom {
		return
	}
	target := delayTarget
	if last.contended {
		target = delayTargetContended
	}
	workEach := (last.answered + delayWorkPerProduct*last.changed) / last.answered
	delay := &commitDelay{target: min(last.answered+c.queued(), target, max(target, delayWork)/workEach)}
	c.delay = delay
	time.AfterFunc(min(last.took, c.delayMax), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.delay == delay { // it may have ended, and another one begun
			c.delay = nil
			c.dispatch()
		}
	})
}

// delayed reports whether the next batch is still to wait. Callers hold mu.
func (c *Committer) delayed() bool {
	if c.delay != nil && c.queued() >= c.delay.target {
		c.delay = nil
	}
	return c.delay != nil
}
