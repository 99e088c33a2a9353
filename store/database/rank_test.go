package database_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
)

// A list by quantity is what sorting all stocks gives, for any filter.
func TestRankProducts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		r := rand.New(rand.NewPCG(rand.Uint64(), 2))
		all, err := s.ReadStocks(t.Context(), s.randomProducts(r, 40))
		require.NoError(t, err)
		byID := map[string]*models.Stock{}
		for _, stock := range all.Stocks {
			byID[stock.ProductID] = stock
		}
		for range 60 {
			q := randomProductQuery(r)
			q.Order = ""
			statuses := q.Statuses
			q.Statuses = nil
			quantity := func(id string) (n int) {
				for _, l := range byID[id].Levels {
					if l.Active && (q.LocationID == "" || l.LocationID == q.LocationID) && (q.Channel == "" || q.Members[l.LocationID]) {
						n += l.Available
					}
				}
				return n
			}
			last := func(id string) int {
				if byID[id].Tracked {
					return 0
				}
				return 1
			}
			want := matching(all.Stocks, q)
			slices.SortFunc(want, func(a, b string) int {
				return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(quantity(a), quantity(b)), cmp.Compare(a, b))
			})
			q.Statuses = statuses // they are no part of it
			got, err := s.RankProducts(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, len(want), len(got), "%+v", q)
			if len(want) > 0 {
				require.Equal(t, want, got, "%+v", q)
			}
		}
		s.Lists.Bounds.Ranked = 2
		_, err = s.RankProducts(t.Context(), paging.ProductQuery{})
		require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		require.ErrorContains(t, err, "narrower")
		s.Lists.Bounds.Ranked, s.Lists.Bounds.RankedBytes = len(all.Stocks), 2
		_, err = s.RankProducts(t.Context(), paging.ProductQuery{})
		require.Equal(t, models.CodeBadUserInput, models.CodeOf(err))
		require.ErrorContains(t, err, "2 bytes")
	})
}
