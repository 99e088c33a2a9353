package groupcommit

import (
	"context"
	"onhand/store/database"
	"slices"
	"time"
)

const (
	// lockPollInterval is how often group commit asks for the locks of the rows that
	// waiters are blocked by.
	lockPollInterval = 50 * time.Millisecond
	// lockRowsMax is how many rows one poll asks for.
	lockRowsMax = 2000
)

// isBlocked reports whether a write names rows that are known to be locked, and notes
// these rows in the waiter. Callers hold mu.
func (c *Committer) isBlocked(w *waiter) bool {
	if c.blockedRows == nil {
		return false
	}
	w.rows = slices.DeleteFunc(w.write.Rows(), func(row database.RowRef) bool { return !c.blockedRows[row] })
	return len(w.rows) > 0
}

// block moves the blocked waiters of a finished batch to the list of blocked waiters.
// rows has the locked rows that each waiter needs, none for the others. Queued writes
// that name the same rows are blocked too: they could not be executed either. Callers
// hold mu.
func (c *Committer) block(g *group, rows [][]database.RowRef) {
	for i, w := range g.waiters {
		if w.rows = slices.Clone(rows[i]); len(w.rows) > 0 {
			c.blocked = append(c.blocked, w)
		}
	}
	if c.blockedRows == nil {
		go c.pollLocks()
	}
	c.noteBlockedRows()
	c.reopen()
	c.queue = slices.DeleteFunc(c.queue, func(w *waiter) bool {
		blocked := c.isBlocked(w)
		if blocked {
			c.blocked = append(c.blocked, w)
		}
		return blocked
	})
}

// noteBlockedRows brings blockedRows up to date. Callers hold mu.
func (c *Committer) noteBlockedRows() {
	c.blockedRows = map[database.RowRef]bool{}
	for _, w := range c.blocked {
		for _, row := range w.rows {
			c.blockedRows[row] = true
		}
	}
}

// pollLocks puts blocked waiters back into the queue once their rows are free. It ends
// when no waiter is blocked, which WaitMax bounds.
func (c *Committer) pollLocks() {
	ticker := time.NewTicker(lockPollInterval)
	defer ticker.Stop()
	seen := database.Locks{} // the locks of each row when it was polled last
	for range ticker.C {
		rows := c.rowsToPoll()
		if rows == nil {
			return
		}
		locks, err := c.database.Locked(context.Background(), rows)
		if err != nil {
			continue
		}
		c.unblock(rows, keptLocks(rows, seen, locks))
	}
}

// keptLocks returns the locks that one transaction keeps: it had locked the row at the
// last poll already, or this is the row's first poll. A row that another transaction has
// locked since is in demand; Postgres queues writes for it, so they need not wait here.
// keptLocks updates seen.
func keptLocks(rows []database.RowRef, seen, locks database.Locks) database.Locks {
	kept := locks.HeldSince(seen)
	if len(seen) > lockRowsMax { // drops rows that no waiter needs any more
		clear(seen)
	}
	for _, row := range rows {
		if len(seen[row]) == 0 && len(locks[row]) > 0 {
			kept[row] = locks[row]
		}
		seen[row] = locks[row]
	}
	return kept
}

// rowsToPoll returns rows that present waiters are blocked by, nil when there are none.
func (c *Committer) rowsToPoll() (rows []database.RowRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked = slices.DeleteFunc(c.blocked, func(w *waiter) bool { return w.gone })
	if len(c.blocked) == 0 {
		c.blocked, c.blockedRows = nil, nil
		return nil
	}
	c.noteBlockedRows()
	for row := range c.blockedRows { // in random order: over time each is polled
		if rows = append(rows, row); len(rows) == lockRowsMax {
			break
		}
	}
	return rows
}

// unblock puts the waiters whose rows are all free at the head of the queue.
func (c *Committer) unblock(polled []database.RowRef, kept database.Locks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := make(map[database.RowRef]bool, len(polled))
	for _, row := range polled {
		free[row] = len(kept[row]) == 0
	}
	var back []*waiter
	c.blocked = slices.DeleteFunc(c.blocked, func(w *waiter) bool {
		w.rows = slices.DeleteFunc(w.rows, func(row database.RowRef) bool { return free[row] })
		if len(w.rows) == 0 {
			back = append(back, w)
		}
		return len(w.rows) == 0
	})
	c.noteBlockedRows()
	c.queue = append(back, c.queue...)
	c.dispatch()
}
