package loaders_test

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
	"go.uber.org/goleak"

	"onhand/graph/loaders"
	"onhand/models"
)

// TestMain looks for goroutines that nobody ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader counts what is read.
type reader struct {
	mu    sync.Mutex
	calls [][]string
	fail  error
}

func (r *reader) read(_ context.Context, ids []string) ([]*models.Stock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, slices.Clone(ids))
	if r.fail != nil {
		return nil, r.fail
	}
	out := make([]*models.Stock, len(ids))
	for i, id := range ids {
		if id != "none" {
			out[i] = &models.Stock{Product: models.Product{ProductID: id}}
		}
	}
	return out, nil
}

// with puts loaders over the reader into a context.
func (r *reader) with(ctx context.Context) context.Context {
	return loaders.PerResponse{Stocks: r.read, Reservations: noReservations}.With(ctx)
}

func noReservations(_ context.Context, ids []string) ([]*models.Reservation, error) {
	return make([]*models.Reservation, len(ids)), nil
}

func idsOf(stocks []*models.Stock) []string {
	ids := make([]string, len(stocks))
	for i, s := range stocks {
		if s != nil {
			ids[i] = s.ProductID
		}
	}
	return ids
}

// TestStocksKeepsTheOrder: values in the order asked, repeats repeated, nothing
// for what is unknown, each id read once.
func TestStocksKeepsTheOrder(t *testing.T) {
	t.Parallel()
	var r reader
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"b", "none", "a", "b"})
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "", "a", "b"}, idsOf(stocks))
	assert.Nil(t, stocks[1])
	stocks, err = loaders.Of(ctx).Stocks(ctx, []string{"a", "none"})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", ""}, idsOf(stocks))
	require.Len(t, r.calls, 1, "what was read is not read again")
	slices.Sort(r.calls[0])
	assert.Equal(t, []string{"a", "b", "none"}, r.calls[0])
}

// TestNothingAskedNothingRead: and the answer is a list, not null.
func TestNothingAskedNothingRead(t *testing.T) {
	t.Parallel()
	var r reader
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, nil)
	require.NoError(t, err)
	assert.NotNil(t, stocks)
	assert.Empty(t, stocks)
	assert.Empty(t, r.calls)
}

// TestFieldsThatAskTogetherReadTogether: what asks while the first waits joins
// its batch. On a busy machine some come late; then it is tried again.
func TestFieldsThatAskTogetherReadTogether(t *testing.T) {
	t.Parallel()
	require.Eventually(t, func() bool {
		var r reader
		ctx := r.with(t.Context())
		var fields sync.WaitGroup
		for i := range 8 {
			fields.Go(func() {
				stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"shared", strconv.Itoa(i)})
				assert.NoError(t, err)
				assert.Equal(t, []string{"shared", strconv.Itoa(i)}, idsOf(stocks))
			})
		}
		fields.Wait()
		assert.Len(t, slices.Concat(r.calls...), 9, "each id once")
		return len(r.calls) == 1
	}, 20*time.Second, time.Millisecond)
}

// TestAFaultIsAnswered once, as it was, to everybody who waited.
func TestAFaultIsAnswered(t *testing.T) {
	t.Parallel()
	fault := models.Unavailable("later", errors.New("why"))
	r := reader{fail: fault}
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"a", "b", "c"})
	assert.Nil(t, stocks)
	assert.Same(t, fault, err)
}

// TestAListIsOneBatch: the clock never cuts a list in two, not even where the
// machine stands still in the middle of it, and a list that no longer fits
// into a batch begins the next one.
func TestAListIsOneBatch(t *testing.T) {
	t.Parallel()
	var r reader
	ctx := r.with(t.Context())
	const lists, length = 40, 300
	var fields sync.WaitGroup
	for list := range lists {
		fields.Go(func() {
			ids := make([]string, length)
			for i := range ids {
				ids[i] = strconv.Itoa(list) + "-" + strconv.Itoa(i)
			}
			stocks, err := loaders.Of(ctx).Stocks(ctx, ids)
			assert.NoError(t, err)
			assert.Equal(t, ids, idsOf(stocks))
		})
	}
	fields.Wait()
	assert.Len(t, slices.Concat(r.calls...), lists*length)
	for _, call := range r.calls {
		assert.LessOrEqual(t, len(call), 1000)
		calls := map[string]int{}
		for _, id := range call {
			list, _, _ := strings.Cut(id, "-")
			calls[list]++
		}
		for list, n := range calls {
			assert.Equal(t, length, n, "list %s is cut", list)
		}
	}
}

// TestAPanicIsAnError: of every field that waits for the reader, and of no
// other.
func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	broken := loaders.PerResponse{
		Stocks:       func(context.Context, []string) ([]*models.Stock, error) { panic("boom") },
		Reservations: func(context.Context, []string) ([]*models.Reservation, error) { return nil, nil },
	}
	ctx := broken.With(t.Context())
	_, err := loaders.Of(ctx).Stocks(ctx, []string{"a", "b"})
	require.ErrorContains(t, err, "boom")
	_, err = loaders.Of(ctx).Stock(ctx, "a")
	require.ErrorContains(t, err, "boom")
	_, err = loaders.Of(ctx).Reservation(ctx, "r")
	require.ErrorContains(t, err, "0 values for 1 ids")
}

// TestResponsesShareNothing: each response has loaders of its own.
func TestResponsesShareNothing(t *testing.T) {
	t.Parallel()
	var r reader
	for range 3 {
		ctx := r.with(t.Context())
		_, err := loaders.Of(ctx).Stocks(ctx, []string{"a"})
		require.NoError(t, err)
	}
	assert.Len(t, r.calls, 3)
}

// TestALargeResponseIsReadInBoundedBatches: no larger than the store takes.
func TestALargeResponseIsReadInBoundedBatches(t *testing.T) {
	t.Parallel()
	var r reader
	ctx := r.with(t.Context())
	ids := make([]string, 2500)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	stocks, err := loaders.Of(ctx).Stocks(ctx, ids)
	require.NoError(t, err)
	assert.Equal(t, ids, idsOf(stocks))
	assert.Len(t, slices.Concat(r.calls...), 2500, "each id once")
	assert.Len(t, r.calls, 3)
	for _, call := range r.calls {
		assert.LessOrEqual(t, len(call), 1000)
	}
}

// TestPerResponseNeedsAReader: a mistake in the wiring is found at the start.
func TestPerResponseNeedsAReader(t *testing.T) {
	t.Parallel()
	require.Error(t, loaders.PerResponse{}.Validate(nil))
	require.Error(t, loaders.PerResponse{Stocks: (&reader{}).read}.Validate(nil))
	require.NoError(t, loaders.PerResponse{Stocks: (&reader{}).read, Reservations: noReservations}.Validate(nil))
}
