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
	// time is over: a timer each would be work for all, for the few who are late.
	// looksMax is how many looks one may outlast.
	lookEvery = 100 * time.Millisecond
	looksMax  = int(writeWait / lookEvery)
)

// seat is one caller's place in the line.
type seat struct {
	write    models.Write
	ready    *database.PreparedReservation
	levels   int             // how many it may touch
	joined   int             // after how many looks it came
	sought   bool            // its products were fetched, or need not be
	gone     bool            // the caller gave up, or its time is over
	behind   []models.RowRef // the locked rows it waits for, while it is aside
	answered atomic.Bool     // whoever sets it gives the answer
	done     chan struct{}   // closed when there are result and err
	result   models.WriteResult
	err      error
}

// answer gives the caller its answer, unless it has one: a flight may land just
// when its time is over.
func (s *seat) answer(result models.WriteResult, err error) {
	if s.answered.CompareAndSwap(false, true) {
		s.result, s.err = result, err
		close(s.done)
	}
}

// noAnswer is what those are told who waited in vain.
func noAnswer(cause error) error {
	return models.Unavailable("there was no answer in time; send the same key again", cause)
}

// wait waits for the answer, which comes within writeWait and lookEvery.
func (c *combiner) wait(ctx context.Context, s *seat) (models.WriteResult, error) {
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

// lookLater has lookForLate run in a while, if it is not going to. Callers hold mu.
func (c *combiner) lookLater() {
	if !c.looking {
		c.looking = true
		time.AfterFunc(lookEvery, c.lookForLate)
	}
}

// lookForLate answers those whose time is over, and looks again while anybody waits.
func (c *combiner) lookForLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	waiting := c.answerLate(c.waiting) + c.answerLate(c.aside)
	if c.ahead != nil {
		waiting += c.answerLate(c.ahead.seats)
	}
	for _, seats := range c.flying {
		waiting += c.answerLate(seats)
	}
	if c.looking = false; waiting > 0 {
		c.lookLater()
	}
}

// answerLate answers those of the seats whose time is over, and counts who else waits.
func (c *combiner) answerLate(seats []*seat) (waiting int) {
	for _, s := range seats {
		switch {
		case s.gone || s.answered.Load():
		case c.looks-s.joined > looksMax:
			s.gone = true
			s.answer(models.WriteResult{}, noAnswer(context.DeadlineExceeded))
		default:
			waiting++
		}
	}
	return waiting
}
