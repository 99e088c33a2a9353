package store

import (
	"context"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/database"
)

// Bounds of a caller's wait.
const (
	// writeWait bounds how long a caller waits, in line and in its batch: a
	// little longer than the database takes to give up on a transaction.
	writeWait = 6 * time.Second
	// lookEvery is how often those who wait are looked through for the ones whose
	// time is over: a timer each would cost the process a twentieth more.
	lookEvery = 100 * time.Millisecond
	looksMax  = int(writeWait / lookEvery)
)

// seat is one caller's place in the line.
type seat struct {
	write  models.Write
	ready  *database.Prepared
	levels int            // how many it may touch
	joined int            // after how many looks it came
	sought bool           // its products were fetched, or need not be
	gone   bool           // the caller gave up
	behind []database.Row // the locked rows it waits for, while it is aside
	told   atomic.Bool    // it has its answer, which is then read once done is closed
	done   chan struct{}
	result models.WriteResult
	err    error
}

// tell gives the caller an answer, unless it has one.
func (s *seat) tell(result models.WriteResult, err error) {
	if s.told.CompareAndSwap(false, true) {
		s.result, s.err = result, err
		close(s.done)
	}
}

// noAnswer is the answer to who waited for nothing.
func noAnswer(cause error) error {
	return models.Unavailable("there was no answer in time; send the same key again", cause)
}

// wait waits for the answer, which comes within writeWait and a look.
func (c *combiner) wait(ctx context.Context, s *seat) (models.WriteResult, error) {
	if ctx.Done() == nil { // cheaper than a choice of one
		<-s.done
		return s.result, s.err
	}
	select {
	case <-s.done:
		return s.result, s.err
	case <-ctx.Done():
		c.mu.Lock()
		s.gone = true
		c.mu.Unlock()
		return models.WriteResult{}, noAnswer(context.Cause(ctx))
	}
}

// watch has somebody look while anybody waits. Callers hold mu.
func (c *combiner) watch() {
	if !c.watched {
		c.watched = true
		time.AfterFunc(lookEvery, c.look)
	}
}

// look tells those whose time is over.
func (c *combiner) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	waiting := c.tellLate(c.waiting) + c.tellLate(c.aside)
	if c.ahead != nil {
		waiting += c.tellLate(c.ahead.seats)
	}
	for _, seats := range c.flying {
		waiting += c.tellLate(seats)
	}
	if c.watched = false; waiting > 0 {
		c.watch()
	}
}

// tellLate tells those of the seats whose time is over, and counts who else waits.
func (c *combiner) tellLate(seats []*seat) (waiting int) {
	for _, s := range seats {
		switch {
		case s.gone || s.told.Load():
		case c.looks-s.joined > looksMax:
			s.gone = true
			s.tell(models.WriteResult{}, noAnswer(context.DeadlineExceeded))
		default:
			waiting++
		}
	}
	return waiting
}
