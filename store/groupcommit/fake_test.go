package groupcommit

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// fakeDatabase is a database that decides nothing and records its batches.
//
// Keys that begin with "under lock" name writes that it cannot decide optimistically:
// they are in no batch with others, and not added while a batch commits. Keys that
// begin with "missing" name writes of products that were not fetched. Keys that begin
// with "fault" fail.
type fakeDatabase struct {
	underLock bool          // every write is decided under lock
	writesMax int           // in one batch; 0: no bound
	contended bool          // other instances change the same products
	released  chan struct{} // Commit receives from it; closed: it does not wait
	fetching  func(ctx context.Context) error
	lockPolls int
	polled    func(poll int) // runs in each poll of locks

	mu         sync.Mutex
	committing bool
	started    []int      // the size of each batch that has begun to commit
	batches    [][]string // the keys of each batch that was executed
	discarded  int
	locked     database.Locks
	fetched    []string // products
	looked     map[*database.PreparedWrite]bool
}

type fakeBatch struct {
	f      *fakeDatabase
	writes []*database.PreparedWrite
}

func (f *fakeDatabase) Prepare(w models.Write) *database.PreparedWrite {
	return &database.PreparedWrite{Write: w}
}

func (f *fakeDatabase) Begin() WriteBatch { return &fakeBatch{f: f} }

func has(w *database.PreparedWrite, prefix string) bool {
	return strings.HasPrefix(w.Write.Key(), prefix)
}

// optimistic reports whether a write is decided when it is added.
func (f *fakeDatabase) optimistic(w *database.PreparedWrite) bool {
	return !f.underLock && !has(w, "under lock") && len(f.missing(w)) == 0
}

func (f *fakeDatabase) missing(w *database.PreparedWrite) (ids []string) {
	if has(w, "missing") && !slices.Contains(f.fetched, w.Rows()[0].Product) {
		ids = append(ids, w.Rows()[0].Product)
	}
	return ids
}

func (b *fakeBatch) Add(w *database.PreparedWrite) bool {
	f := b.f
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.writesMax > 0 && len(b.writes) >= f.writesMax:
		return false
	case f.optimistic(w):
	case f.committing, len(b.writes) > 0 && f.optimistic(b.writes[0]), len(b.writes) == 0 && len(f.missing(w)) > 0 && !f.looked[w]:
		return false
	}
	b.writes = append(b.writes, w)
	return true
}

func (b *fakeBatch) Commit(context.Context) (r database.BatchResult) {
	f := b.f
	f.mu.Lock()
	f.committing = true
	f.started = append(f.started, len(b.writes))
	f.mu.Unlock()
	<-f.released
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committing = false
	var keys []string
	r.Results = make([]models.WriteResult, len(b.writes))
	r.Contended = f.contended
	r.Stocks = []*models.Stock{{}}
	for i, w := range b.writes {
		var rows []database.RowRef
		for _, row := range w.Rows() {
			if f.locked[row] != nil {
				rows = append(rows, row)
			}
		}
		if rows != nil {
			if r.Blocked == nil {
				r.Blocked = make([][]database.RowRef, len(b.writes))
			}
			r.Blocked[i] = rows
			continue
		}
		keys = append(keys, w.Write.Key())
		if has(w, "fault") {
			r.Results[i].Fault = &models.Fault{Code: models.CodeInternal, Message: w.Write.Key()}
			continue
		}
		r.Results[i].Reservation = &models.Reservation{ID: w.Write.Key()}
	}
	f.batches = append(f.batches, keys)
	return r
}

func (b *fakeBatch) Discard() {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.f.discarded++
}

func (f *fakeDatabase) MissingOnce(w *database.PreparedWrite) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looked[w] {
		return nil
	}
	if f.looked == nil {
		f.looked = map[*database.PreparedWrite]bool{}
	}
	f.looked[w] = true
	return f.missing(w)
}

func (f *fakeDatabase) Fetch(ctx context.Context, ids []string) error {
	err := f.fetching(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.fetched = append(f.fetched, ids...)
	}
	return err
}

func (f *fakeDatabase) Locked(_ context.Context, rows []database.RowRef) (database.Locks, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lockPolls++
	if f.polled != nil {
		f.polled(f.lockPolls)
	}
	still := database.Locks{}
	for _, row := range rows {
		if holders := f.locked[row]; holders != nil {
			still[row] = holders
		}
	}
	return still, nil
}

// lock has another transaction lock these products, and no others.
func (f *fakeDatabase) lock(products ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = database.Locks{}
	for _, id := range products {
		f.locked[database.RowRef{Product: id}] = []string{"another transaction"}
	}
}

// setup is a committer on a fake database, in a bubble of its own time.
type setup struct {
	*fakeDatabase
	t         *testing.T
	committer *Committer
	published [][]string // the ids of the reservations in each published result
	publish   func()     // runs in Publish; nil: nothing
	expected  int        // calls of Expect
}

// Expect implements Publisher.
func (s *setup) Expect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected++
}

// Publish implements Publisher.
func (s *setup) Publish(_ context.Context, r database.BatchResult) {
	var ids []string
	for _, result := range r.Results {
		if result.Reservation != nil {
			ids = append(ids, result.Reservation.ID)
		}
	}
	s.mu.Lock()
	s.published = append(s.published, ids)
	s.mu.Unlock()
	if s.publish != nil {
		s.publish()
	}
}

// inBubble runs a test whose batches commit only when the test releases them.
func inBubble(t *testing.T, f *fakeDatabase, without CommitterSwitches, test func(t *testing.T, s *setup)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f.released = make(chan struct{})
		s := &setup{fakeDatabase: f, t: t}
		s.committer = New(f, s, without)
		test(t, s)
		s.requireIdle()
	})
}

// release lets all batches commit from now on, and waits until nothing happens any
// more. Time passes only for commit delays.
func (s *setup) release() {
	close(s.released)
	s.pass(20 * commitDelayMax)
}

// pass lets time pass, and waits until nothing happens any more.
func (s *setup) pass(d time.Duration) {
	for _, mu := range []*sync.Mutex{&s.mu, &s.committer.mu} { // so that what the test has read may change
		func() { mu.Lock(); defer mu.Unlock() }()
	}
	time.Sleep(d)
	synctest.Wait()
}

// releaseOne lets one batch commit.
func (s *setup) releaseOne() {
	s.released <- struct{}{}
	synctest.Wait()
}

// caller is one that has submitted a write, and its answer.
type caller struct {
	done   chan struct{} // closed with the answer
	result models.WriteResult
	err    error
	after  time.Duration
}

func (c *caller) answered() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// submit submits a write of one product, and returns when all goroutines wait.
func (s *setup) submit(ctx context.Context, key, product string) *caller {
	c := &caller{done: make(chan struct{})}
	began := time.Now()
	go func() {
		c.result, c.err = s.committer.Submit(ctx, reserve(key, product))
		c.after = time.Since(began)
		close(c.done)
	}()
	synctest.Wait()
	return c
}

func reserve(key, product string) models.Reserve {
	return models.Reserve{IdempotencyKey: key, Lines: []models.RequestedLine{{ProductID: product, Quantity: 1}}}
}

// submitAll submits writes of product x one after the other.
func (s *setup) submitAll(keys ...string) (callers []*caller) {
	for _, key := range keys {
		callers = append(callers, s.submit(s.t.Context(), key, "x"))
	}
	return callers
}

// requireDone checks that the callers have the results of their own writes.
func (s *setup) requireDone(callers []*caller, keys ...string) {
	s.t.Helper()
	require.Len(s.t, callers, len(keys))
	for i, c := range callers {
		require.True(s.t, c.answered(), keys[i])
		require.NoError(s.t, c.err, keys[i])
		require.Equal(s.t, keys[i], c.result.Reservation.ID)
	}
}

// requireUnavailable checks that the caller was answered UNAVAILABLE.
func (c *caller) requireUnavailable(t *testing.T) {
	t.Helper()
	require.True(t, c.answered())
	require.Equal(t, models.CodeUnavailable, models.CodeOf(c.err))
}

// requireIdle checks that the committer has nothing left of any caller.
func (s *setup) requireIdle() {
	s.t.Helper()
	s.pass(max(2*tickInterval, 2*lockPollInterval))
	c := s.committer
	c.mu.Lock()
	defer c.mu.Unlock()
	require.False(s.t, c.inFlight)
	require.False(s.t, c.ticking)
	require.False(s.t, c.prefetching)
	require.Nil(s.t, c.open)
	require.Nil(s.t, c.blockedRows)
	require.Empty(s.t, c.unanswered)
	require.Empty(s.t, c.queue)
	require.Empty(s.t, c.blocked)
}
