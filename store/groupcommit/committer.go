package groupcommit

import (
	"context"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/database"
	"onhand/tracing"
)

// waitersMax bounds the callers that wait for their batch or for locked rows. One
// more is refused at once, which costs less than a wait that ends in a refusal.
const waitersMax = 8192

// errFull refuses a write when waitersMax callers wait already.
var errFull = models.Unavailable("too many writes are waiting; try again", nil)

// pauseMin is how long no batch was in flight before one that Publisher.Expect is called
// for: longer than a lone caller takes from an answer to its next write.
const pauseMin = 2 * time.Millisecond

// BatchSource decides and commits batches of writes. *database.Database is one, but
// for the result type of Begin.
//
// The committer calls Add and Discard of its batches, and MissingOnce, one at a time.
type BatchSource interface {
	// Prepare does the work that needs no lock and no turn. It runs on the caller's
	// goroutine.
	Prepare(write models.Write) *database.PreparedWrite
	// Begin returns an empty batch. One batch at a time is open and one is committing.
	Begin() WriteBatch
	// MissingOnce returns the products of a waiting write that the snapshot cache lacks,
	// once for each write.
	MissingOnce(write *database.PreparedWrite) []string
	// Fetch reads products into the snapshot cache.
	Fetch(ctx context.Context, productIDs []string) error
	// Locked returns which of the rows other transactions have locked now.
	Locked(ctx context.Context, rows []database.RowRef) (database.Locks, error)
}

// WriteBatch collects writes and commits them in one transaction, or in a few.
type WriteBatch interface {
	// Add takes one more write, or reports false: the write does not fit this batch,
	// or cannot be decided yet.
	Add(write *database.PreparedWrite) bool
	// Commit executes the writes in order and reports on each. It bounds its own time
	// and does not panic.
	Commit(ctx context.Context) database.BatchResult
	// Discard gives up a batch that was not committed. Its writes may be added to
	// another one.
	Discard()
}

// Publisher learns what a batch did.
type Publisher interface {
	// Expect is called when a batch is dispatched after a pause: Publish follows. It must
	// not block.
	Expect()
	// Publish is called once for each batch, before its waiters are answered and while
	// the next batch is already in flight. It must not panic.
	Publish(ctx context.Context, result database.BatchResult)
}

// CommitterSwitches turn optimisations off, for benchmarks. The zero value turns none off.
type CommitterSwitches struct {
	NoCommitDelay bool
	NoPrefetch    bool
	NoTicker      bool
}

// Committer joins writes that arrive while a batch is in flight into the next one.
// Each is still decided on its own, in the order of arrival. It is safe for
// concurrent use.
type Committer struct {
	database  BatchSource
	publisher Publisher
	without   CommitterSwitches
	delayMax  time.Duration // commitDelayMax; tests change it

	mu          sync.Mutex
	queue       []*waiter           // in no batch yet, in the order of arrival
	open        *group              // takes waiters from the queue; nil: none
	inFlight    bool                // a batch is committing
	finishedAt  time.Time           // when the last one was finished
	unanswered  map[*group]struct{} // dispatched, and not answered yet
	delay       *commitDelay        // the open batch waits for more writes; nil: it does not
	prefetching bool                // products of the queue's head are being read

	blocked     []*waiter                // in the order of arrival
	blockedRows map[database.RowRef]bool // that they wait for; nil while there are none

	ticks   int  // how often the ticker has ticked
	ticking bool // it will tick again
}

// group is a batch with the waiters of its writes, in the same order.
type group struct {
	batch   WriteBatch
	waiters []*waiter
}

// New makes a committer.
func New(database BatchSource, publisher Publisher, without CommitterSwitches) *Committer {
	return &Committer{
		database: database, publisher: publisher, without: without, delayMax: commitDelayMax, unanswered: map[*group]struct{}{},
	}
}

// Submit waits until one write is committed and published, and returns its result.
//
// A write whose caller gives up while it is queued or blocked does not happen. Once
// its batch is in flight, the caller only stops waiting.
//
// Errors: UNAVAILABLE when too many writes wait, or when there was no answer in time;
// and the faults that the database reports.
func (c *Committer) Submit(ctx context.Context, write models.Write) (models.WriteResult, error) {
	w := &waiter{write: c.database.Prepare(write), caller: tracing.Current(ctx), done: make(chan struct{})}
	if !c.enqueue(w) {
		return models.WriteResult{}, errFull
	}
	return c.wait(ctx, w)
}

func (c *Committer) enqueue(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued()+len(c.blocked) >= waitersMax {
		return false
	}
	c.startTicker(w)
	if c.isBlocked(w) {
		c.blocked = append(c.blocked, w)
		return true
	}
	c.queue = append(c.queue, w)
	c.dispatch()
	return true
}

// Waiting returns how many callers wait for their batch, and how many for rows that
// other transactions have locked.
func (c *Committer) Waiting() (queued, blocked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued(), len(c.blocked)
}

// queued is how many waiters have no batch in flight and are not blocked. Callers
// hold mu.
func (c *Committer) queued() int {
	if c.open == nil {
		return len(c.queue)
	}
	return len(c.queue) + len(c.open.waiters)
}

// dispatch adds queued writes to the open batch, and sends it unless one is in
// flight. Callers hold mu.
func (c *Committer) dispatch() {
	c.fill()
	if c.inFlight || c.open == nil {
		return
	}
	if c.open.hasGone() { // their writes must not happen, and later ones were decided on top of them
		c.reopen()
		c.fill()
	}
	if c.open == nil || c.delayed() {
		return
	}
	g := c.open
	c.open, c.inFlight = nil, true
	c.unanswered[g] = struct{}{}
	go c.commit(g, time.Since(c.finishedAt) >= pauseMin)
}

// fill adds queued writes to the open batch as long as it takes them. Callers hold mu.
func (c *Committer) fill() {
	if c.prefetching {
		return
	}
	for len(c.queue) > 0 {
		if w := c.queue[0]; !w.gone && !c.add(w) {
			if !c.prefetch() {
				return
			}
			continue
		}
		c.queue = c.queue[1:]
	}
	c.queue = nil // frees the array
}

// add adds one write to the open batch, which it begins. Callers hold mu.
func (c *Committer) add(w *waiter) bool {
	g := c.open
	if g == nil {
		g = &group{batch: c.database.Begin()}
	}
	if !g.batch.Add(w.write) {
		return false
	}
	g.waiters = append(g.waiters, w)
	c.open = g
	return true
}

// reopen discards the open batch and puts its waiters back to the head of the queue.
// Callers hold mu.
func (c *Committer) reopen() {
	if c.open == nil {
		return
	}
	c.open.batch.Discard()
	c.queue = append(c.open.waiters, c.queue...)
	c.open = nil
}

// commit commits a batch, lets the next one go, and answers the waiters. paused: no batch
// was in flight for a while.
func (c *Committer) commit(g *group, paused bool) {
	ctx, span := g.trace(context.Background()) // a caller that gives up does not undo what others wait for
	defer span.End()
	if paused {
		c.publisher.Expect()
	}
	began := time.Now()
	result := g.batch.Commit(ctx)
	c.finish(g, &result, time.Since(began))
	c.publisher.Publish(ctx, result)
	g.answer(&result)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unanswered, g)
}

// trace begins the span of a batch with a recorded caller.
func (g *group) trace(ctx context.Context) (context.Context, tracing.RecordedSpan) {
	if !tracing.Enabled() {
		return ctx, tracing.RecordedSpan{}
	}
	var callers tracing.Callers
	for _, w := range g.waiters {
		callers.Add(w.caller)
	}
	ctx, span := callers.Start(ctx, "group commit")
	span.Int("onhand.writes", len(g.waiters))
	return ctx, span
}

// finish takes the result of the batch in flight, and dispatches the next one.
func (c *Committer) finish(g *group, result *database.BatchResult, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight, c.finishedAt = false, time.Now()
	if result.Blocked != nil {
		c.block(g, result.Blocked)
	}
	c.startDelay(finishedBatch{answered(result), len(result.Stocks), result.Contended, took})
	c.dispatch()
}

// answered is how many waiters of a batch are answered.
func answered(result *database.BatchResult) int {
	n := len(result.Results)
	for _, rows := range result.Blocked {
		if len(rows) > 0 {
			n--
		}
	}
	return n
}

// answer answers the waiters, but for those that are blocked.
func (g *group) answer(result *database.BatchResult) {
	for i, w := range g.waiters {
		if result.Blocked == nil || len(result.Blocked[i]) == 0 {
			w.answer(result.Results[i], result.Results[i].Fault)
		}
	}
}

// hasGone reports whether a caller has given up.
func (g *group) hasGone() bool {
	for _, w := range g.waiters {
		if w.gone {
			return true
		}
	}
	return false
}
