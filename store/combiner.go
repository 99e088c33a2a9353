package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/database"
)

// Bounds of the write path.
const (
	// writeFlights: transactions under way at once. More would split the
	// batches, and the rows they share would make them wait for each other.
	writeFlights = 1
	// writeBatchMax and writeLevelsMax bound one transaction: how many writes,
	// and how many levels they may touch together.
	writeBatchMax  = 512
	writeLevelsMax = 4000
	// writeWaitingMax bounds the line. Beyond it callers are told to come back.
	writeWaitingMax = 8192
	// lockPoll is how often those who stepped aside look whether their rows are
	// still locked; lockRowsMax, about how many rows one look asks.
	lockPoll    = 50 * time.Millisecond
	lockRowsMax = 2000
)

// errFull is the answer to a write that finds the line full.
var errFull = models.Unavailable("too many writes are waiting; try again", nil)

// combiner joins writes that arrive while a transaction is running, and for a
// moment after one of several, into the next one. Each is still decided on its
// own, in the order of arrival.
//
// Writes that need rows which somebody else keeps locked step aside, so that
// one forgotten transaction in a console does not stop the shop.
type combiner struct {
	// run decides a batch in one transaction; an error means that nothing is
	// known to have happened.
	run func(ctx context.Context, writes []models.Write) (models.Outcome, error)
	// tell is called after the commit, before the callers are answered, while
	// the next transaction is already running. It must not panic.
	tell func(ctx context.Context, out models.Outcome)
	// prepare works out what a write needs before its turn; begin starts a plan.
	// Where they are nil, or begin gives none, nothing is decided ahead.
	prepare func(models.Write) *database.PreparedReservation
	begin   func() plan
	// unknown lists the products of which nothing is remembered, and fetch reads
	// them, so that who asks for them can be decided ahead. nil: nothing is read.
	unknown func(*database.PreparedReservation) []string
	fetch   func(ctx context.Context, ids []string) error
	// ran, where not nil, is told of each transaction: how many writes it had,
	// how long it took and how it ended.
	ran func(writes int, took time.Duration, err error)
	// ended, where not nil, is told of each plan; broke, of one that panicked: its
	// callers are decided the ordinary way, and hear nothing of it. Both may be
	// called under the lock.
	ended func(planEnd)
	broke func(*panicError)
	// gatherWait bounds how long a transaction waits for company (gather.go); 0: not
	// at all.
	gatherWait time.Duration
	// locked tells which of the rows are locked now.
	locked func(ctx context.Context, rows []models.RowRef) (models.Locks, error)

	mu        sync.Mutex
	flights   int
	loading   bool     // the flight decides on what it loads: nothing may be decided ahead of it
	fetching  bool     // products of those at the head of the line are being read
	ahead     *planned // decided while a flight is under way; nil: nothing
	waiting   []*seat
	gathering *gathering             // the next flight waits for company; nil: it does not
	aside     []*seat                // behind locked rows, in order of arrival
	behind    map[models.RowRef]bool // the rows that those aside wait for; nil while nobody does
	flown     int                    // how many flights there were
	flying    map[int][]*seat        // those of each flight, by its number, until they are answered
	looking   bool                   // lookForLate is going to run
	looks     int                    // how often it has run
}

// submit waits for the answer to one write. A caller whose context ends while
// its write is still in line takes it out; one whose batch has started only
// stops waiting.
func (c *combiner) submit(ctx context.Context, write models.Write) (models.WriteResult, error) {
	s := &seat{write: write, levels: levelsOf(write), done: make(chan struct{})}
	if c.prepare != nil {
		s.ready = c.prepare(write)
	}
	c.mu.Lock()
	if c.inLine()+len(c.aside) >= writeWaitingMax {
		c.mu.Unlock()
		return models.WriteResult{}, errFull
	}
	s.joined = c.looks
	c.lookLater()
	if s.behind = c.blocked(write); len(s.behind) > 0 {
		c.aside = append(c.aside, s)
	} else {
		c.waiting = append(c.waiting, s)
		c.decideAhead()
		c.launch()
	}
	c.mu.Unlock()
	return c.wait(ctx, s)
}

// launch starts a batch if one may start. Callers hold mu.
func (c *combiner) launch() {
	if c.flights >= writeFlights {
		return
	}
	c.decideAhead()
	if c.ahead != nil && slices.ContainsFunc(c.ahead.seats, func(s *seat) bool { return s.gone }) {
		c.dissolve() // what was decided counts on those who gave up
	}
	if c.gathers() {
		return
	}
	if c.ahead != nil {
		c.depart()
		return
	}
	if c.fetching { // those at the head are about to be decided ahead
		return
	}
	batch := c.next()
	if len(batch) == 0 {
		return
	}
	c.loading = true
	c.fly(batch, func() { c.flight(batch) })
}

// fly carries out a flight that takes these along. It has a number because one who
// stepped aside may be in the next one while this one's are still answered. Callers
// hold mu.
func (c *combiner) fly(seats []*seat, carryOut func()) {
	if c.flying == nil {
		c.flying = map[int][]*seat{}
	}
	c.flown++
	number := c.flown
	c.flying[number] = seats
	c.flights++
	go func() {
		carryOut()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flying, number)
	}()
}

// line is how many callers wait for their batch, and how many for locked rows.
func (c *combiner) line() (waiting, aside int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inLine(), len(c.aside)
}

// inLine is how many callers wait for their batch. Callers hold mu.
func (c *combiner) inLine() int { return len(c.waiting) + c.ahead.size() }

// next takes the next batch out of the line. Callers hold mu.
func (c *combiner) next() []*seat {
	var batch []*seat
	levels, taken := 0, 0
	for _, s := range c.waiting {
		if s.gone {
			taken++
			continue
		}
		if len(batch) > 0 && (database.ChangesSettings(s.write) || database.ChangesSettings(batch[0].write)) {
			break
		}
		if len(batch) == writeBatchMax || (len(batch) > 0 && levels+s.levels > writeLevelsMax) {
			break
		}
		batch, levels, taken = append(batch, s), levels+s.levels, taken+1
	}
	c.waiting = c.waiting[taken:]
	if len(c.waiting) == 0 {
		c.waiting = nil // let go of the array
	}
	return batch
}

// flight answers batches, one after the other. What keeps one from being decided
// as a whole is found by halving it, in the same place in line.
func (c *combiner) flight(batches ...[]*seat) {
	ctx := context.Background() // the database bounds its own time
	began := time.Now()
	for todo := batches; len(todo) > 0; {
		var batch []*seat
		batch, todo = c.present(todo[0]), todo[1:]
		if len(batch) == 0 {
			continue
		}
		out, err := c.attempt(len(batch), func() (models.Outcome, error) { return c.run(ctx, writesOf(batch)) })
		var locked *database.BlockedError
		switch {
		case errors.As(err, &locked):
			todo = slices.Insert(todo, 0, c.stepAside(batch, locked.Rows))
			continue
		case err != nil && models.CodeOf(err) == models.CodeUnavailable:
			// The rest need not find out for themselves.
			batch, todo = slices.Concat(batch, slices.Concat(todo...)), nil
		case err != nil && len(batch) > 1: // too large, or something in it is poison
			half := len(batch) / 2
			todo = slices.Insert(todo, 0, batch[:half], batch[half:])
			continue
		}
		if len(todo) == 0 {
			c.land(landing{answered: len(batch), changed: len(out.Stocks), took: time.Since(began)})
			c.answer(ctx, batch, out, err)
			return
		}
		c.answer(ctx, batch, out, err)
	}
	c.land(landing{})
}

// present leaves out the seats whose callers gave up.
func (c *combiner) present(batch []*seat) []*seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(batch), func(s *seat) bool { return s.gone })
}

// land lets the next batch start.
func (c *combiner) land(l landing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flights--
	c.loading = false
	c.gather(l)
	c.launch()
}

// attempt carries out so many writes; a panic is an error of theirs, not the
// process's end.
func (c *combiner) attempt(writes int, carryOut func() (models.Outcome, error)) (out models.Outcome, err error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = &models.Fault{Code: models.CodeInternal, Message: "internal error", Cause: &panicError{p, debug.Stack()}}
		}
		if c.ran != nil {
			c.ran(writes, time.Since(began), err)
		}
	}()
	return carryOut()
}

// panicError is a panic that was survived.
type panicError struct {
	value any
	stack []byte
}

// Error implements error.
func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

func (c *combiner) answer(ctx context.Context, batch []*seat, out models.Outcome, err error) {
	if err == nil {
		c.tell(ctx, out)
	}
	for i, s := range batch {
		if err != nil {
			s.answer(models.WriteResult{}, err)
		} else {
			s.answer(out.Results[i], out.Results[i].Fault)
		}
	}
}

func writesOf(batch []*seat) []models.Write {
	writes := make([]models.Write, len(batch))
	for i, s := range batch {
		writes[i] = s.write
	}
	return writes
}

// levelsOf is how many levels a write may touch.
func levelsOf(w models.Write) int {
	switch w := w.(type) {
	case models.Reserve:
		return len(w.Lines)
	case models.UpdateReservation:
		return 2 * len(w.Lines)
	case models.MoveStock:
		return 2 * len(w.Rows)
	case models.Bulk:
		return w.Size()
	}
	return 1
}
