package loaders_test

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"go.uber.org/goleak"

	"onhand/graph/loaders"
	"onhand/models"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stockReader records its calls.
type stockReader struct {
	mu    sync.Mutex
	calls [][]string
	fail  error
}

func (r *stockReader) read(_ context.Context, ids []string) ([]*models.Stock, error) {
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

// with returns a context with loaders over the reader.
func (r *stockReader) with(ctx context.Context) context.Context {
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

// TestStocksInOrder: stocks come in the order of the ids, repeated ids included, nil
// for an unknown one, and the store reads each id once.
func TestStocksInOrder(t *testing.T) {
	t.Parallel()
	var r stockReader
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"b", "none", "a", "b"})
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "", "a", "b"}, idsOf(stocks))
	assert.Nil(t, stocks[1])
	stocks, err = loaders.Of(ctx).Stocks(ctx, []string{"a", "none"})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", ""}, idsOf(stocks))
	require.Len(t, r.calls, 1, "a second call reads nothing again")
	slices.Sort(r.calls[0])
	assert.Equal(t, []string{"a", "b", "none"}, r.calls[0])
}

// TestNoIDs: no ids make no read, and the answer is an empty list, not nil.
func TestNoIDs(t *testing.T) {
	t.Parallel()
	var r stockReader
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, nil)
	require.NoError(t, err)
	assert.NotNil(t, stocks)
	assert.Empty(t, stocks)
	assert.Empty(t, r.calls)
}

// TestConcurrentFieldsShareAFetch: fields that ask while a fetch waits join it. A busy
// machine can start a field too late, so the test tries again.
func TestConcurrentFieldsShareAFetch(t *testing.T) {
	t.Parallel()
	require.Eventually(t, func() bool {
		var r stockReader
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

// TestOnlyFieldReadsAtOnce: the only field of an operation's root reads without a wait,
// on its own goroutine; any other one yields first.
func TestOnlyFieldReadsAtOnce(t *testing.T) {
	t.Parallel()
	field := func(name string) *ast.Field { return &ast.Field{Name: name} }
	one, two := ast.SelectionSet{field("stocks")}, ast.SelectionSet{field("stocks"), field("stock")}
	index := 0
	query, stocks, list := graphql.FieldContext{Object: "Query"}, graphql.FieldContext{}, graphql.FieldContext{Index: &index}
	for name, c := range map[string]struct {
		root   ast.SelectionSet
		fields []graphql.FieldContext
		want   bool
	}{
		"the only field":     {one, []graphql.FieldContext{query, stocks}, true},
		"one of two":         {two, []graphql.FieldContext{query, stocks}, false},
		"behind a fragment":  {ast.SelectionSet{&ast.FragmentSpread{Name: "f"}}, []graphql.FieldContext{query, stocks}, false},
		"a field of a field": {one, []graphql.FieldContext{query, stocks, stocks}, false},
		"a field of a list":  {one, []graphql.FieldContext{list, stocks}, false},
		"outside of a field": {one, nil, false},
		"the root itself":    {one, []graphql.FieldContext{query}, false},
	} {
		ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{SelectionSet: c.root}})
		for _, f := range c.fields {
			ctx = graphql.WithFieldContext(ctx, &f)
		}
		assert.Equal(t, c.want, loaders.Alone(ctx), name)
	}
	var caller, reader string
	stack := func() string {
		line, _, _ := strings.Cut(string(debug.Stack()), "[")
		return line // "goroutine 7 "
	}
	ctx := loaders.PerResponse{Stocks: func(_ context.Context, ids []string) ([]*models.Stock, error) {
		reader = stack()
		return make([]*models.Stock, len(ids)), nil
	}, Reservations: noReservations}.With(t.Context())
	caller = stack()
	_, err := loaders.Of(ctx).Stock(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, caller, reader)
}

// TestErrorIsPassedOn: the caller gets the read function's error unchanged.
func TestErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	fault := models.Unavailable("later", errors.New("why"))
	r := stockReader{fail: fault}
	ctx := r.with(t.Context())
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"a", "b", "c"})
	assert.Nil(t, stocks)
	assert.Same(t, fault, err)
}

// TestListIsOneFetch: the ids of one call are never divided between two fetches,
// however busy the machine is. A list that does not fit begins the next fetch.
func TestListIsOneFetch(t *testing.T) {
	t.Parallel()
	var r stockReader
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
			assert.Equal(t, length, n, "list %s is divided", list)
		}
	}
}

// TestPanicIsAnError: a panic of the read function is the error of every field that
// waits for it, and of no other field.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	panics := loaders.PerResponse{
		Stocks:       func(context.Context, []string) ([]*models.Stock, error) { panic("boom") },
		Reservations: func(context.Context, []string) ([]*models.Reservation, error) { return nil, nil },
	}
	ctx := panics.With(t.Context())
	_, err := loaders.Of(ctx).Stocks(ctx, []string{"a", "b"})
	require.ErrorContains(t, err, "boom")
	_, err = loaders.Of(ctx).Stock(ctx, "a")
	require.ErrorContains(t, err, "boom")
	_, err = loaders.Of(ctx).Reservation(ctx, "r")
	require.ErrorContains(t, err, "0 values for 1 ids")
}

// TestResponsesShareNothing: each response reads for itself.
func TestResponsesShareNothing(t *testing.T) {
	t.Parallel()
	var r stockReader
	for range 3 {
		ctx := r.with(t.Context())
		_, err := loaders.Of(ctx).Stocks(ctx, []string{"a"})
		require.NoError(t, err)
	}
	assert.Len(t, r.calls, 3)
}

// TestFetchIsBounded: a fetch has no more ids than the store takes in one call.
func TestFetchIsBounded(t *testing.T) {
	t.Parallel()
	var r stockReader
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

// TestPerResponseNeedsReadFunctions: gqlgen refuses to start without them.
func TestPerResponseNeedsReadFunctions(t *testing.T) {
	t.Parallel()
	require.Error(t, loaders.PerResponse{}.Validate(nil))
	require.Error(t, loaders.PerResponse{Stocks: (&stockReader{}).read}.Validate(nil))
	require.NoError(t, loaders.PerResponse{Stocks: (&stockReader{}).read, Reservations: noReservations}.Validate(nil))
}
