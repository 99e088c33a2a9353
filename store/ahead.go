package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database"
)

// Bounds of one plan.
const (
	plannedMax       = 2048
	plannedLevelsMax = writeLevelsMax
)

// plan is a batch of holds decided before its transaction begins.
type plan interface {
	// Add decides one more, or leaves it to be decided the ordinary way.
	Add(*database.Prepared) bool
	// Close takes no more.
	Close()
	// Commit carries it out. On an error nothing is known to have happened.
	Commit(context.Context) (database.Outcome, error)
	// Drop forgets what it was decided on.
	Drop()
}

// planned is a plan with its callers.
type planned struct {
	plan   plan
	seats  []*seat
	levels int
}

func (p *planned) size() int {
	if p == nil {
		return 0
	}
	return len(p.seats)
}

func (s *Store) newPlan() plan {
	if p := s.database.NewPlan(); p != nil {
		return p
	}
	return nil
}

// decideAhead moves those at the head of the line into the plan, as far as they
// can be decided on what is remembered. Callers hold mu.
func (c *combiner) decideAhead() {
	if c.begin == nil || c.loading || c.behind != nil {
		return
	}
	taken := 0
	for _, s := range c.waiting {
		if s.gone {
			taken++
			continue
		}
		if s.ready == nil || c.ahead.size() >= plannedMax || c.ahead != nil && c.ahead.levels+s.levels > plannedLevelsMax || !c.decide(s) {
			break
		}
		taken++
	}
	c.waiting = c.waiting[taken:]
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
}

// decide adds one seat to the plan. A panic is not the process's end, and not
// the plan's: nobody knows what it left behind, and so all are decided anew.
func (c *combiner) decide(s *seat) (ok bool) {
	if c.ahead == nil {
		begun := c.begin()
		if begun == nil {
			return false
		}
		c.ahead = &planned{plan: begun}
	}
	defer func() {
		if recover() != nil {
			c.dissolve()
		} else if len(c.ahead.seats) == 0 {
			c.ahead = nil
		}
	}()
	if !c.ahead.plan.Add(s.ready) {
		return false
	}
	c.ahead.seats = append(c.ahead.seats, s)
	c.ahead.levels += s.levels
	return true
}

// dissolve has those in the plan decided the ordinary way, in their places in
// line. Callers hold mu.
func (c *combiner) dissolve() {
	if c.ahead == nil {
		return
	}
	c.ahead.plan.Drop()
	c.waiting = slices.Concat(c.ahead.seats, c.waiting)
	c.ahead = nil
}

// depart sends the plan. Callers hold mu.
func (c *combiner) depart() {
	p := c.ahead
	c.ahead = nil
	c.flights++
	p.plan.Close()
	go c.flyPlanned(p)
}

// flyPlanned carries out a plan, and answers its callers. Where it cannot be
// carried out, they and those decided on top of it are decided the ordinary way.
func (c *combiner) flyPlanned(p *planned) {
	ctx := context.Background() // the database bounds its own time
	out, err := c.commit(ctx, p)
	if err != nil {
		c.mu.Lock()
		p.plan.Drop()
		c.dissolve()
		c.loading = true
		c.mu.Unlock()
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		c.flight(p.seats)
		return
	}
	c.land()
	c.answer(ctx, p.seats, out, err)
}

func (c *combiner) commit(ctx context.Context, p *planned) (out database.Outcome, err error) {
	began := time.Now()
	defer func() {
		if r := recover(); r != nil {
			err = &models.Fault{Code: models.CodeInternal, Message: "internal error", Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
		if c.ran != nil {
			c.ran(len(p.seats), time.Since(began), err)
		}
	}()
	return p.plan.Commit(ctx)
}
