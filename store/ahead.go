package store

import (
	"context"
	"errors"
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

// Bounds of fetching.
const (
	// fetchMax is about how many products are fetched at once.
	fetchMax = 1000
	// fetchWait bounds it. After that they are decided the ordinary way, which
	// reads them itself.
	fetchWait = 500 * time.Millisecond
)

// plan is a batch of holds decided before its transaction begins.
type plan interface {
	// Add decides one more, or leaves it to be decided the ordinary way.
	Add(*database.PreparedReservation) bool
	// Close takes no more.
	Close()
	// ByStock tells of a closed one that others change its products too.
	Contended() bool
	// Commit carries it out. On an error nothing is known to have happened.
	Commit(context.Context) (models.Outcome, error)
	// Drop forgets what it was decided on.
	Discard()
}

// planEnd is how a plan ended.
type planEnd string

// The ends of plans.
const (
	planCommitted planEnd = "committed"
	// planRefused: something was no longer as remembered, or a key had been used.
	planRefused planEnd = "refused"
	// planFailed: anything else, such as a database that is away, or a panic.
	planFailed planEnd = "failed"
	// planDissolved: it was never sent, because of what it was decided on, a caller
	// who gave up, or a panic.
	planDissolved planEnd = "dissolved"
)

var planEnds = []planEnd{planCommitted, planRefused, planFailed, planDissolved}

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

// planBroke logs a panic that no caller hears of.
func (s *Store) planBroke(p *panicError) {
	s.log.Error("a plan of holds panicked; they are decided the ordinary way", "panic", p.value, "stack", string(p.stack))
}

// decideAhead moves those at the head of the line into the plan, as far as they
// can be decided on what is remembered. Callers hold mu.
func (c *combiner) decideAhead() {
	if c.begin == nil || c.loading || c.behind != nil {
		return
	}
	for len(c.waiting) > 0 {
		if s := c.waiting[0]; !s.gone && !c.decide(s) {
			c.fetchUnknown()
			return
		}
		c.waiting = c.waiting[1:]
	}
	c.waiting = nil // let go of the array
}

// fetchUnknown starts to read what those in line ask for and nobody remembers.
// Callers hold mu.
func (c *combiner) fetchUnknown() {
	if c.fetch == nil || c.fetching {
		return
	}
	var ids []string
	for _, s := range c.waiting {
		if s.sought || s.ready == nil {
			break // decided the ordinary way, and those behind it after that
		}
		s.sought = true
		ids = append(ids, c.unknown(s.ready)...)
		if len(ids) == 0 || len(ids) >= fetchMax { // the first is not kept for the others
			break
		}
	}
	if len(ids) == 0 {
		return
	}
	c.fetching = true
	go func() {
		if panicked := c.fetchThese(ids); panicked != nil {
			c.planBroke(panicked)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fetching = false
		c.launch()
	}()
}

// fetchThese reads products. What it cannot read is decided the ordinary way,
// which tells its callers why.
func (c *combiner) fetchThese(ids []string) (panicked *panicError) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchWait)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			panicked = &panicError{value, debug.Stack()}
		}
	}()
	_ = c.fetch(ctx, ids)
	return nil
}

// decide adds one seat to the plan, where there is room. Callers hold mu.
func (c *combiner) decide(s *seat) bool {
	if s.ready == nil || c.ahead.size() >= plannedMax || c.ahead != nil && c.ahead.levels+s.levels > plannedLevelsMax {
		return false
	}
	p := c.ahead
	if p == nil {
		if p = (&planned{plan: c.begin()}); p.plan == nil {
			return false
		}
	}
	added, panicked := p.add(s)
	if panicked != nil { // nobody knows what it left behind
		c.planBroke(panicked)
		s.ready = nil
		c.ahead = p
		c.dissolve()
	}
	if added {
		c.ahead = p
	}
	return added
}

// add tells of a panic of the plan, if there was one.
func (p *planned) add(s *seat) (added bool, panicked *panicError) {
	defer func() {
		if value := recover(); value != nil {
			added, panicked = false, &panicError{value, debug.Stack()}
		}
	}()
	if added = p.plan.Add(s.ready); added {
		p.seats = append(p.seats, s)
		p.levels += s.levels
	}
	return added, nil
}

func (c *combiner) planBroke(panicked *panicError) {
	if c.broke != nil {
		c.broke(panicked)
	}
}

func (c *combiner) planEnded(how planEnd) {
	if c.ended != nil {
		c.ended(how)
	}
}

// endOf tells how a plan ended that was sent.
func endOf(err error) planEnd {
	switch {
	case err == nil:
		return planCommitted
	case errors.Is(err, database.ErrRefused):
		return planRefused
	}
	return planFailed
}

// dissolve has those in the plan decided the ordinary way, in their places in
// line. Callers hold mu.
func (c *combiner) dissolve() {
	if c.ahead == nil {
		return
	}
	c.ahead.plan.Discard()
	c.waiting = slices.Concat(c.ahead.seats, c.waiting)
	c.ahead = nil
	c.planEnded(planDissolved)
}

// depart sends the plan. Callers hold mu.
func (c *combiner) depart() {
	p := c.ahead
	c.ahead = nil
	p.plan.Close()
	c.fly(p.seats, func() { c.flyPlanned(p) })
}

// flyPlanned carries out a plan, and answers its callers. Where it cannot be
// carried out, they and those decided on top of it are decided the ordinary way;
// but where its time was over before there was an answer, its own are told so,
// for it may have happened.
func (c *combiner) flyPlanned(p *planned) {
	ctx := context.Background() // the database bounds its own time
	began := time.Now()
	out, err := c.attempt(len(p.seats), func() (models.Outcome, error) { return p.plan.Commit(ctx) })
	c.planEnded(endOf(err))
	var panicked *panicError
	if errors.As(err, &panicked) { // its callers are answered, and nobody else would hear of it
		c.planBroke(panicked)
	}
	if err != nil {
		c.mu.Lock()
		p.plan.Discard()
		c.dissolve()
		c.loading = true
		c.mu.Unlock()
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		c.flight(slices.Collect(slices.Chunk(p.seats, writeBatchMax))...)
		return
	}
	c.land(landing{len(p.seats), len(out.Stocks), p.plan.Contended(), time.Since(began)})
	c.answer(ctx, p.seats, out, err)
}
