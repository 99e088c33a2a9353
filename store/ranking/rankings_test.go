package ranking

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
)

// fakeShop has products p0, p1, …, of which the quantity is the number.
type fakeShop struct {
	ids   []string
	ranks atomic.Int64
	reads atomic.Int64
}

func newFakeShop(n int) *fakeShop {
	s := &fakeShop{}
	for i := range n {
		s.ids = append(s.ids, fmt.Sprintf("p%d", i))
	}
	return s
}

func (s *fakeShop) RankProducts(context.Context, paging.ProductQuery) ([]string, error) {
	s.ranks.Add(1)
	return s.ids, nil
}

func (s *fakeShop) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	s.reads.Add(1)
	stocks := make([]*models.Stock, len(ids))
	for i, id := range ids {
		n, _ := strconv.Atoi(id[1:])
		stocks[i] = &models.Stock{Product: models.Product{ProductID: id, Tracked: true, LowStockThreshold: 5}, Levels: []models.Level{
			{ProductID: id, LocationID: "a", Active: true, Quantities: models.Quantities{Available: n % 50}},
		}}
	}
	return stocks, nil
}

// walk reads all pages in one direction.
func walk(t *testing.T, r *Rankings, filter paging.ProductQuery, size int, backwards bool) (ids []string, pages int) {
	t.Helper()
	asked := paging.Request{First: size}
	if backwards {
		asked = paging.Request{Last: size}
	}
	for {
		page, err := r.Page(t.Context(), asked, filter)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Products), size)
		pages++
		var found []string
		for _, p := range page.Products {
			found = append(found, p.ProductID)
		}
		if backwards {
			ids = append(found, ids...)
			if asked.Before = page.Start; !page.HasPrev {
				return ids, pages
			}
			continue
		}
		ids = append(ids, found...)
		if asked.After = page.End; !page.HasNext {
			return ids, pages
		}
	}
}

// Pages of any size, in both directions and with statuses, are the whole list once.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 600} {
		shop := newFakeShop(n)
		r := New(shop, shop)
		for _, statuses := range [][]models.StockStatus{nil, {models.LowStock}, {models.OutOfStock, models.InStock}} {
			var want []string
			stocks, _ := shop.Stocks(t.Context(), shop.ids)
			for _, s := range stocks {
				if len(statuses) == 0 || slices.Contains(statuses, s.Status()) {
					want = append(want, s.ProductID)
				}
			}
			for _, size := range []int{1, 3, 250, 1 + rand.IntN(100)} {
				for _, backwards := range []bool{false, true} {
					ids, _ := walk(t, r, paging.ProductQuery{Statuses: statuses}, size, backwards)
					require.Equal(t, want, ids, "%d products, %v, pages of %d, backwards %v", n, statuses, size, backwards)
				}
			}
		}
		require.EqualValues(t, 1, shop.ranks.Load(), "statuses are no part of a ranking")
	}
}

// A page of a status that nothing has ends after a bounded number of reads, and goes on.
func TestRareStatus(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(2*pageWindow*pageWindowsMax + 10)
	r := New(shop, shop)
	page, err := r.Page(t.Context(), paging.Request{First: 10}, paging.ProductQuery{Statuses: []models.StockStatus{models.Backorder}})
	require.NoError(t, err)
	require.Empty(t, page.Products)
	require.True(t, page.HasNext)
	require.NotEmpty(t, page.End)
	require.EqualValues(t, pageWindowsMax, shop.reads.Load())
	ids, pages := walk(t, r, paging.ProductQuery{Statuses: []models.StockStatus{models.Backorder}}, 10, true)
	require.Empty(t, ids)
	require.Equal(t, 3, pages)
}

// A ranking is read again when it is old. The oldest of too many is dropped.
func TestAge(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(3)
	r := New(shop, shop)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r.now = func() time.Time { return now }
	read := func(search string) int64 {
		before := shop.ranks.Load()
		_, err := r.Page(t.Context(), paging.Request{First: 1}, paging.ProductQuery{Search: search})
		require.NoError(t, err)
		return shop.ranks.Load() - before
	}
	require.EqualValues(t, 1, read(""))
	now = now.Add(ageMax - 1)
	require.Zero(t, read(""))
	now = now.Add(1)
	require.EqualValues(t, 1, read(""))
	for i := range rankingsMax {
		now = now.Add(time.Millisecond)
		require.EqualValues(t, 1, read(fmt.Sprint(i)))
	}
	require.Len(t, r.kept, rankingsMax)
	require.EqualValues(t, 1, read(""), "it was the oldest")
	_, err := r.Page(t.Context(), paging.Request{First: 1, After: "ghost"}, paging.ProductQuery{})
	require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
}

// All rankings together take no more than keptBytesMax: the oldest leave. One is kept even alone.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	ids := make([]string, keptBytesMax/3/(len(long)+idHeaderBytes))
	for i := range ids {
		ids[i] = long
	}
	r := New(nil, nil)
	for i := range 2 * rankingsMax {
		r.keep(strconv.Itoa(i), newRanking(ids, time.Unix(int64(i), 0)))
		require.LessOrEqual(t, r.keptBytes(), keptBytesMax)
		require.Contains(t, r.kept, strconv.Itoa(i))
	}
	require.Len(t, r.kept, 3, "a third of the bytes each")
	r.keep("large", newRanking(slices.Concat(ids, ids, ids, ids), time.Unix(100, 0)))
	require.Len(t, r.kept, 1)
}

// Every pair of positions gives what is between them, nothing where they are equal or
// crossed.
func TestBetweenPositions(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(6)
	r := New(shop, shop)
	for from := range shop.ids {
		for to := range shop.ids {
			want := []string(nil)
			if from+1 < to {
				want = shop.ids[from+1 : to]
			}
			for _, asked := range []paging.Request{{First: 10}, {Last: 10}} {
				asked.After, asked.Before = shop.ids[from], shop.ids[to]
				page, err := r.Page(t.Context(), asked, paging.ProductQuery{})
				require.NoError(t, err)
				var got []string
				for _, stock := range page.Stocks {
					got = append(got, stock.ProductID)
				}
				require.Equal(t, want, got, "%+v", asked)
			}
		}
	}
}
