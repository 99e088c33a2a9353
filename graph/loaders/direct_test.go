package loaders_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/loaders"
	"onhand/models"
)

// TestDirectReadsAtOnce: without collecting, a load reads what it asks for, each id once.
func TestDirectReadsAtOnce(t *testing.T) {
	t.Parallel()
	for name, ids := range map[string][]string{"few": {"b", "none", "a"}, "repeated": {"b", "none", "a", "b", "none"}} {
		var r stockReader
		ctx := r.with(t.Context())
		loaders.Of(ctx).Direct()
		for range 2 {
			stocks, err := loaders.Of(ctx).Stocks(ctx, ids)
			require.NoError(t, err)
			want := slices.Clone(ids)
			want[1] = ""
			if len(ids) > 3 {
				want[4] = ""
			}
			assert.Equal(t, want, idsOf(stocks), name)
		}
		assert.Equal(t, [][]string{{"b", "none", "a"}}, r.calls, name)
		stock, err := loaders.Of(ctx).Stock(ctx, "c")
		require.NoError(t, err)
		assert.Equal(t, "c", stock.ProductID)
		assert.Equal(t, [][]string{{"b", "none", "a"}, {"c"}}, r.calls, name)
	}
}

// TestDirectCollects: what several loads ask for is read with one call, and later what is
// new.
func TestDirectCollects(t *testing.T) {
	t.Parallel()
	var r stockReader
	ctx := r.with(t.Context())
	direct := loaders.Of(ctx).Direct()
	direct.Collect()
	load := func() (one *models.Stock, many []*models.Stock, errs error) {
		one, err := loaders.Of(ctx).Stock(ctx, "a")
		many, other := loaders.Of(ctx).Stocks(ctx, []string{"b", "a", "none", "b"})
		return one, many, errors.Join(err, other)
	}
	_, _, err := load()
	require.ErrorIs(t, err, loaders.ErrCollecting)
	none, err := loaders.Of(ctx).Stocks(ctx, nil)
	require.NoError(t, err)
	assert.NotNil(t, none)
	assert.Empty(t, r.calls)
	direct.Fetch(ctx)
	one, many, err := load()
	require.NoError(t, err)
	assert.Equal(t, "a", one.ProductID)
	assert.Equal(t, []string{"b", "a", "", "b"}, idsOf(many))
	assert.Equal(t, [][]string{{"a", "b", "none"}}, r.calls)

	direct.Want([]string{"a", "c", "none"})
	direct.Want(nil)
	direct.Fetch(ctx)
	direct.Fetch(ctx)
	assert.Equal(t, [][]string{{"a", "b", "none"}, {"c"}}, r.calls)
}

// TestDirectIsBounded: one call of the store has no more ids than it takes, and those of
// one load are together.
func TestDirectIsBounded(t *testing.T) {
	t.Parallel()
	var r stockReader
	ctx := r.with(t.Context())
	direct := loaders.Of(ctx).Direct()
	for list := range 10 {
		ids := make([]string, 300)
		for i := range ids {
			ids[i] = strconv.Itoa(list*1000 + i)
		}
		direct.Want(ids)
	}
	large := make([]string, 2500)
	for i := range large {
		large[i] = "large " + strconv.Itoa(i)
	}
	direct.Want(large)
	direct.Fetch(ctx)
	assert.Len(t, slices.Concat(r.calls...), 5500)
	var lengths []int
	for _, call := range r.calls {
		lengths = append(lengths, len(call))
	}
	slices.Sort(lengths)
	assert.Equal(t, []int{300, 500, 900, 900, 900, 1000, 1000}, lengths)
}

// TestDirectErrors: an error or a panic of a call is the error of every load of its ids,
// and of no other.
func TestDirectErrors(t *testing.T) {
	t.Parallel()
	fault := models.Unavailable("later", errors.New("why"))
	r := stockReader{fail: fault}
	ctx := r.with(t.Context())
	loaders.Of(ctx).Direct()
	_, err := loaders.Of(ctx).Stocks(ctx, []string{"a", "b"})
	assert.Same(t, fault, err)
	r.fail = nil
	_, err = loaders.Of(ctx).Stock(ctx, "a")
	assert.Same(t, fault, err, "it is not read again")
	_, err = loaders.Of(ctx).Stocks(ctx, []string{"c", "b"})
	assert.Same(t, fault, err)
	stock, err := loaders.Of(ctx).Stock(ctx, "c")
	require.NoError(t, err)
	assert.Equal(t, "c", stock.ProductID)
}

// TestDirectAdd: stocks that were read in another way are not read again, before and after
// other stocks, whatever the order in which they are loaded.
func TestDirectAdd(t *testing.T) {
	t.Parallel()
	var r stockReader
	ctx := r.with(t.Context())
	direct := loaders.Of(ctx).Direct()
	added, err := (&stockReader{}).read(ctx, []string{"a", "b", "c"})
	require.NoError(t, err)
	direct.Add(added)
	same := func(want *models.Stock) {
		stock, err := loaders.Of(ctx).Stock(ctx, want.ProductID)
		require.NoError(t, err)
		assert.Same(t, want, stock)
	}
	for _, i := range []int{0, 0, 1, 2, 2, 0, 2, 1} {
		same(added[i])
	}
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{"c", "d", "a"})
	require.NoError(t, err)
	assert.Equal(t, []string{"c", "d", "a"}, idsOf(stocks))
	others, err := (&stockReader{}).read(ctx, []string{"e", "c"})
	require.NoError(t, err)
	direct.Add(others)
	same(others[0])
	same(added[2])
	direct.Add(nil)
	assert.Equal(t, [][]string{{"d"}}, r.calls)
}
