package store

import (
	"context"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database"
)

// blocked are the rows among those a write names that somebody keeps locked,
// as far as is known. Callers hold mu.
func (c *combiner) blocked(write models.Write) (rows []models.RowRef) {
	if c.behind == nil {
		return nil
	}
	return slices.DeleteFunc(database.RowsOf(write), func(r models.RowRef) bool { return !c.behind[r] })
}

// stepAside takes the seats out of a batch that wait for locked rows, and
// returns the others. by has the rows of every seat.
func (c *combiner) stepAside(batch []*seat, by [][]models.RowRef) (rest []*seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range batch {
		if s.behind = by[i]; len(s.behind) == 0 {
			rest = append(rest, s)
			continue
		}
		c.aside = append(c.aside, s)
	}
	if c.behind == nil {
		go c.watchLocks()
	}
	c.noteBehind()
	return rest
}

// noteBehind brings behind up to date. Callers hold mu.
func (c *combiner) noteBehind() {
	c.behind = map[models.RowRef]bool{}
	for _, s := range c.aside {
		for _, row := range s.behind {
			c.behind[row] = true
		}
	}
}

// watchLocks lets those who stepped aside rejoin the line once their rows are
// free. It ends when nobody is left, which callers' own patience bounds.
func (c *combiner) watchLocks() {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	seen := models.Locks{} // when each row was looked at last
	for range ticker.C {
		rows := c.awaited()
		if rows == nil {
			return
		}
		locks, err := c.locked(context.Background(), rows)
		if err != nil {
			continue
		}
		c.rejoin(rows, keeping(rows, seen, locks))
	}
}

// keeping are those of the locks that were there when their row was looked at
// last, or whose row is seen for the first time: a row that has passed to another
// transaction since is in demand, and who waits for it must stand in line there.
// seen is brought up to date.
func keeping(rows []models.RowRef, seen, locks models.Locks) models.Locks {
	kept := locks.HeldSince(seen)
	if len(seen) > lockRowsMax { // rows that nobody waits for any more
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

// awaited are rows that somebody present waits for, nil when nobody waits.
func (c *combiner) awaited() (rows []models.RowRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aside = slices.DeleteFunc(c.aside, func(s *seat) bool { return s.gone })
	if len(c.aside) == 0 {
		c.aside, c.behind = nil, nil
		return nil
	}
	c.noteBehind()
	for row := range c.behind { // in no order: over time each gets its look
		if rows = append(rows, row); len(rows) == lockRowsMax {
			break
		}
	}
	return rows
}

// rejoin puts those whose rows are all free to the front of the line.
func (c *combiner) rejoin(asked []models.RowRef, locks models.Locks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := make(map[models.RowRef]bool, len(asked))
	for _, row := range asked {
		free[row] = len(locks[row]) == 0
	}
	var back []*seat
	c.aside = slices.DeleteFunc(c.aside, func(s *seat) bool {
		s.behind = slices.DeleteFunc(s.behind, func(row models.RowRef) bool { return free[row] })
		if len(s.behind) == 0 {
			back = append(back, s)
		}
		return len(s.behind) == 0
	})
	c.noteBehind()
	c.waiting = append(back, c.waiting...)
	c.launch()
}
