package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// fakeTruth is a database that decides nothing. Keys that begin with "poison"
// fail their batch.
type fakeTruth struct {
	mu       sync.Mutex
	batches  [][]string // the keys of each batch, in order
	locked   models.Locks
	rowsMax  int  // a larger batch is too large
	gone     bool // does not answer
	started  chan int
	released chan struct{} // closed: batches need not wait
}

func newFakeTruth() (*fakeTruth, *combiner) {
	f := &fakeTruth{started: make(chan int, 1000), released: make(chan struct{})}
	return f, &combiner{run: f.run, tell: func(context.Context, models.Outcome) {}, locked: f.stillLocked}
}

func (f *fakeTruth) run(_ context.Context, writes []models.Write) (models.Outcome, error) {
	f.started <- len(writes)
	<-f.released
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	by, held, rows, poison := make([][]models.RowRef, len(writes)), false, 0, false
	for i, w := range writes {
		keys = append(keys, w.Key())
		rows += levelsOf(w)
		poison = poison || strings.HasPrefix(w.Key(), "poison")
		for _, row := range database.RowsOf(w) {
			if f.locked[row] != nil {
				by[i], held = append(by[i], row), true
			}
		}
	}
	f.batches = append(f.batches, keys)
	switch {
	case f.gone:
		return models.Outcome{}, models.Unavailable("gone", nil)
	case held:
		return models.Outcome{}, &database.BlockedError{Rows: by}
	case f.rowsMax > 0 && rows > f.rowsMax && len(writes) > 1:
		return models.Outcome{}, database.ErrTooLarge
	case poison:
		return models.Outcome{}, &models.Fault{Code: models.CodeInternal, Message: "internal error"}
	}
	return models.Outcome{Results: make([]models.WriteResult, len(writes))}, nil
}

func (f *fakeTruth) stillLocked(_ context.Context, rows []models.RowRef) (models.Locks, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	still := models.Locks{}
	for _, row := range rows {
		if holders := f.locked[row]; holders != nil {
			still[row] = holders
		}
	}
	return still, nil
}

func (f *fakeTruth) lock(products ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = models.Locks{}
	for _, id := range products {
		f.locked[models.RowRef{Product: id}] = []string{"somebody"}
	}
}

// callers submit beside the test and collect what each was told.
type callers struct {
	t *testing.T
	c *combiner
	sync.WaitGroup
	mu     sync.Mutex
	errs   map[string]error
	before int // callers in line so far
}

func (c *callers) submit(ctx context.Context, w models.Write) {
	c.Go(func() {
		_, err := c.c.submit(ctx, w)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.errs[w.Key()] = err
	})
	c.before++
	eventually(c.t, func() bool { // one after another, so that the order of arrival is known
		c.c.mu.Lock()
		defer c.c.mu.Unlock()
		return len(c.c.waiting)+len(c.c.aside)+c.c.ahead.size() == c.before
	})
}

func (c *callers) told(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err, answered := c.errs[key]
	if !answered {
		return errors.New("no answer yet")
	}
	return err
}

// busy starts a first write that keeps the line waiting until f is released.
func busy(t *testing.T, f *fakeTruth, c *combiner) *callers {
	t.Helper()
	line := &callers{t: t, c: c, errs: map[string]error{}}
	line.Go(func() {
		_, err := c.submit(t.Context(), receive("first", "x", 1))
		assert.NoError(t, err)
	})
	require.Equal(t, 1, <-f.started)
	return line
}

// What waits while a transaction runs is the next batch, in order of arrival,
// without those who gave up meanwhile.
func TestCombinerBatches(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	ctx, cancel := context.WithCancel(t.Context())
	for _, key := range []string{"a", "b", "c"} {
		line.submit(t.Context(), receive(key, "x", 1))
	}
	line.submit(ctx, receive("gone", "x", 1))
	line.submit(t.Context(), receive("d", "x", 1))
	cancel()
	eventually(t, func() bool { return models.CodeOf(line.told("gone")) == models.CodeUnavailable })
	close(f.released)
	line.Wait()
	require.Equal(t, [][]string{{"first"}, {"a", "b", "c", "d"}}, f.batches)
}

// Writes that change settings go alone, in their place in the line.
func TestCombinerSettingsGoAlone(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	for _, w := range []models.Write{
		receive("a", "x", 1), receive("b", "x", 1), models.UpsertProducts{IdempotencyKey: "c"}, models.UpsertChannels{IdempotencyKey: "d"}, receive("e", "x", 1),
	} {
		line.submit(t.Context(), w)
	}
	close(f.released)
	line.Wait()
	require.Equal(t, [][]string{{"first"}, {"a", "b"}, {"c"}, {"d"}, {"e"}}, f.batches)
}

// A batch has a bound of writes, and one of rows; a write that is larger than
// that goes alone.
func TestCombinerBatchBounds(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	carts := func(key string, lines int) models.Reserve {
		return models.Reserve{IdempotencyKey: key, Lines: make([]models.Line, lines)}
	}
	for i := range 3 {
		line.submit(t.Context(), carts("half "+strconv.Itoa(i), writeLevelsMax/2))
	}
	line.submit(t.Context(), carts("whole", writeLevelsMax+1))
	for i := range writeBatchMax + 1 {
		line.submit(t.Context(), receive(strconv.Itoa(i), "x", 1))
	}
	close(f.released)
	line.Wait()
	var sizes []int
	for _, batch := range f.batches {
		sizes = append(sizes, len(batch))
	}
	require.Equal(t, []int{1, 2, 1, 1, writeBatchMax, 1}, sizes)
}

// A line that is full refuses at once; once it is shorter it takes callers again.
func TestCombinerFull(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	c.mu.Lock()
	for range writeWaitingMax - 1 {
		c.waiting = append(c.waiting, &seat{write: receive("filler", "x", 1), done: make(chan struct{})})
	}
	c.mu.Unlock()
	line.before = writeWaitingMax - 1
	line.submit(t.Context(), receive("last", "x", 1))
	_, err := c.submit(t.Context(), receive("one too many", "x", 1))
	require.ErrorIs(t, err, errFull)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	close(f.released)
	line.Wait()
	require.NoError(t, line.told("last"))
	_, err = c.submit(t.Context(), receive("later", "x", 1))
	require.NoError(t, err)
}

// Whatever poisons a batch fails alone, and costs few transactions.
func TestCombinerPoison(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	for i := range 64 {
		key := strconv.Itoa(i)
		if i == 37 {
			key = "poison"
		}
		line.submit(t.Context(), receive(key, "x", 1))
	}
	close(f.released)
	line.Wait()
	for key, err := range line.errs {
		require.Equal(t, key == "poison", err != nil, key)
	}
	require.LessOrEqual(t, len(f.batches), 1+1+2*6, "halves, not one by one")
}

// A batch that is too large is decided in parts, in order.
func TestCombinerTooLarge(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	f.rowsMax = 2
	line := busy(t, f, c)
	for _, key := range []string{"a", "b", "c", "d"} {
		line.submit(t.Context(), receive(key, "x", 1))
	}
	close(f.released)
	line.Wait()
	require.Equal(t, []string{"a", "b"}, f.batches[2])
	require.Equal(t, []string{"c", "d"}, f.batches[3])
}

// A database that does not answer is asked once for a batch, whatever has
// become of the batch.
func TestCombinerUnavailable(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	for _, key := range []string{"a", "poison", "c"} {
		line.submit(t.Context(), receive(key, "x", 1))
	}
	close(f.released)
	line.Wait()
	f.mu.Lock()
	f.gone = true
	asked := len(f.batches)
	f.mu.Unlock()
	_, err := c.submit(t.Context(), receive("d", "x", 1))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.Len(t, f.batches, asked+1)
}

// Writes behind a locked row step aside, those that come later too; the others
// go on. Once the row is free they are decided, in order.
func TestCombinerStepsAside(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	line := busy(t, f, c)
	f.lock("y")
	for _, key := range []string{"y1", "a", "y2", "b"} {
		line.submit(t.Context(), receive(key, key[:1], 1))
	}
	close(f.released)
	eventually(t, func() bool { return line.told("a") == nil && line.told("b") == nil })
	line.before = 2 // y1 and y2
	line.submit(t.Context(), receive("y3", "y", 1))
	batches := func() [][]string { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.batches) }
	require.Equal(t, [][]string{{"first"}, {"y1", "a", "y2", "b"}, {"a", "b"}}, batches(), "y3 did not try")
	_, err := c.submit(t.Context(), receive("c", "x", 1))
	require.NoError(t, err)
	f.lock()
	line.Wait()
	require.Equal(t, []string{"y1", "y2", "y3"}, batches()[4])
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.aside)
}

// Who gives up while aside is forgotten, and the looking ends with the last.
func TestCombinerGoneAside(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	close(f.released)
	f.lock("y")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := c.submit(ctx, receive("k", "y", 1))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.aside == nil && c.behind == nil
	})
}

// Rows that pass from one transaction to the next are in demand: who stepped
// aside for one does not wait until it is found free.
func TestCombinerAsideForARowInDemand(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	close(f.released)
	row := models.RowRef{Product: "y"}
	looks := 0
	c.locked = func(context.Context, []models.RowRef) (models.Locks, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if looks++; looks == 3 { // twice the same, then another one, which the database waits for
			f.locked = nil
			return models.Locks{row: {"another"}}, nil
		}
		return f.locked, nil
	}
	f.lock("y")
	_, err := c.submit(t.Context(), receive("k", "y", 1))
	require.NoError(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, [][]string{{"k"}, {"k"}}, f.batches)
	require.Equal(t, 3, looks)
}
