package database_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database/pages"
)

// narrowWindows makes every page take several windows.
func (s *shop) narrowWindows() {
	s.Lists.Bounds = pages.Bounds{Products: 3, Candidates: 2, Reservations: 4}
}

// randomProducts are products with titles, settings and levels.
func (s *shop) randomProducts(r *rand.Rand, n int) (ids []string) {
	titles := []string{"", "Blue Mug", "blue mug", "Cup", "Étoile", "碗"}
	for i := range n {
		id := fmt.Sprintf("p%02d", i)
		s.stock(id)
		for _, location := range []string{"north", "south", "far"} {
			if r.IntN(3) > 0 {
				s.stock(id, location, r.IntN(4))
			}
		}
		assignments := []string{fmt.Sprintf("low_stock_threshold = %d", r.IntN(3))}
		if title := titles[r.IntN(len(titles))]; title != "" {
			assignments = append(assignments, "title = '"+title+"'")
		}
		if r.IntN(4) == 0 {
			assignments = append(assignments, "tracked = false")
		}
		if r.IntN(3) == 0 {
			assignments = append(assignments, "inventory_policy = 'CONTINUE'", fmt.Sprintf("backorder_limit = %d", r.IntN(3)))
		}
		s.settings(id, strings.Join(assignments, ", "))
		ids = append(ids, id)
	}
	return ids
}

// randomProductQuery is a query, with the members of its channel.
func randomProductQuery(r *rand.Rand) paging.ProductQuery {
	var q paging.ProductQuery
	view := func(members ...string) func(*models.Stock) *models.Stock {
		set := map[string]bool{}
		for _, id := range members {
			set[id] = true
		}
		return func(stock *models.Stock) *models.Stock { return stock.In(&models.ChannelMembers{Members: set}) }
	}
	if r.IntN(3) == 0 {
		q.Channel, q.View, q.Members = "web", view("south"), map[string]bool{"south": true}
	} else if r.IntN(3) == 0 {
		q.Channel, q.View, q.Members = "all", view("north", "south", "far"), map[string]bool{"north": true, "south": true, "far": true}
	}
	if r.IntN(4) == 0 {
		q.LocationID, q.View = "north", view("north")
	}
	for _, status := range []models.StockStatus{models.InStock, models.LowStock, models.OutOfStock, models.Backorder} {
		if r.IntN(3) == 0 {
			q.Statuses = append(q.Statuses, status)
		}
	}
	if r.IntN(5) == 0 {
		tracked := r.IntN(2) == 0
		q.Tracked = &tracked
	}
	if r.IntN(5) == 0 {
		q.TitleContains = "MUG"
	}
	if r.IntN(5) == 0 {
		q.Search = []string{"MUG", "P0"}[r.IntN(2)]
	}
	if r.IntN(6) == 0 {
		q.IDs = []string{"p01", "p03", "p05", "p07", "none"}
	}
	if r.IntN(2) == 0 {
		q.Order = paging.ByTitle
	}
	return q
}

// matching filters and orders all stocks as the query says.
func matching(stocks []*models.Stock, q paging.ProductQuery) (ids []string) {
	title := func(stock *models.Stock) string {
		if stock.Title == nil {
			return ""
		}
		return *stock.Title
	}
	at := map[string]string{"web": "south", "all": "north south far"}
	var list []*models.Stock
	for _, stock := range stocks {
		has := func(places string) bool {
			return slices.ContainsFunc(stock.Levels, func(l models.Level) bool { return slices.Contains(strings.Fields(places), l.LocationID) })
		}
		seen := stock
		if q.View != nil {
			seen = q.View(stock)
		}
		if len(q.IDs) > 0 && !slices.Contains(q.IDs, stock.ProductID) ||
			q.TitleContains != "" && !strings.Contains(strings.ToLower(title(stock)), strings.ToLower(q.TitleContains)) ||
			q.Search != "" && !strings.Contains(strings.ToLower(title(stock)+"\n"+stock.ProductID), strings.ToLower(q.Search)) ||
			q.Tracked != nil && *q.Tracked != stock.Tracked ||
			q.Channel != "" && !has(at[q.Channel]) || q.LocationID != "" && !has(q.LocationID) ||
			q.Channel != "" && q.LocationID != "" && !strings.Contains(at[q.Channel], q.LocationID) ||
			len(q.Statuses) > 0 && !slices.Contains(q.Statuses, seen.Status()) {
			continue
		}
		list = append(list, stock)
	}
	if q.Order == paging.ByTitle {
		slices.SortStableFunc(list, func(a, b *models.Stock) int {
			return cmp.Or(strings.Compare(title(a), title(b)), strings.Compare(a.ProductID, b.ProductID))
		})
	}
	for _, stock := range list {
		ids = append(ids, stock.ProductID)
	}
	return ids
}

// Pages in both directions have exactly the products that match, in order, however small
// the windows are. A page that a bound cut short says that there is more.
func TestProductPagesMatchTheFilter(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		r := rand.New(rand.NewPCG(1, 2))
		ids := s.randomProducts(r, 45)
		all, err := s.ReadStocks(t.Context(), ids)
		require.NoError(t, err)
		s.narrowWindows()
		short := 0
		for range 60 {
			q := randomProductQuery(r)
			want := matching(all.Stocks, q)
			size := 1 + r.IntN(7)
			var forwards, backwards []string
			for after, more := "", true; more; {
				page, err := s.ReadProducts(t.Context(), paging.Request{First: size, After: after}, q)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page.Products), size)
				if page.HasNext && len(page.Products) < size {
					short++
				}
				if page.Total != nil {
					require.Equal(t, len(want), *page.Total, "%+v", q)
				}
				for _, p := range page.Products {
					forwards = append(forwards, p.ProductID)
				}
				after, more = page.End, page.HasNext
			}
			for before, more := "", true; more; {
				page, err := s.ReadProducts(t.Context(), paging.Request{Last: size, Before: before}, q)
				require.NoError(t, err)
				var part []string
				for _, p := range page.Products {
					part = append(part, p.ProductID)
				}
				backwards = append(part, backwards...)
				before, more = page.Start, page.HasPrev
			}
			require.Equal(t, want, forwards, "%+v", q)
			require.Equal(t, want, backwards, "%+v", q)
		}
		require.Positive(t, short, "no page was cut short: the test must have narrow bounds")
		_, err = s.ReadProducts(t.Context(), paging.Request{First: 1, After: "none"}, paging.ProductQuery{Order: paging.ByTitle})
		require.ErrorContains(t, err, "no product at this cursor")
	})
}

// A page of products that the query names is the same, made from their stocks or by the
// database: in all orders, with all filters, and at cursors of products that exist or not.
func TestNamedPagesAreThoseOfTheDatabase(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		r := rand.New(rand.NewPCG(3, 4))
		ids := s.randomProducts(r, 20)
		s.settings("p03", "title = 'ÉTOILE'")
		all, err := s.ReadStocks(t.Context(), ids)
		require.NoError(t, err)
		byID := map[string]*models.Stock{}
		for _, stock := range all.Stocks {
			byID[stock.ProductID] = stock
		}
		names := append(slices.Clone(ids), "none", "P01", "é", "p0", "p051")
		cursors := append(slices.Clone(names), "", "", "", "")
		compared := 0
		for range 400 {
			q := randomProductQuery(r)
			q.TitleContains, q.Search = "", ""
			q.IDs = nil
			for range 1 + r.IntN(12) {
				q.IDs = append(q.IDs, names[r.IntN(len(names))])
			}
			asked := paging.Request{First: 1 + r.IntN(6), After: cursors[r.IntN(len(cursors))]}
			if r.IntN(2) == 0 {
				asked = paging.Request{Last: asked.First, Before: asked.After}
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(q.IDs)))
			stocks := make([]*models.Stock, len(distinct))
			for i, id := range distinct {
				stocks[i] = byID[id]
			}
			require.True(t, q.Named())
			want, err := s.ReadProducts(t.Context(), asked, q)
			got, ok := q.Page(asked, stocks, byID[asked.After], byID[asked.Before])
			require.Equal(t, err == nil, ok, "%+v %+v: %v", q, asked, err)
			if !ok {
				continue
			}
			compared++
			require.Len(t, got.Stocks, len(got.Products))
			for i, stock := range got.Stocks {
				require.Equal(t, stock.Product, got.Products[i])
				require.Equal(t, want.Products[i].ProductID, stock.ProductID)
			}
			if len(want.Products) == 0 {
				want.Products = []models.Product{}
			}
			got.Stocks = nil
			require.Equal(t, want, got, "%+v %+v", q, asked)
		}
		require.Greater(t, compared, 200)
	})
}

// Pages of reservations in both directions have exactly those that match, newest first.
// A reservation past its expiry is EXPIRED, swept or not.
func TestReservationPages(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, id := range []string{"mug", "cup", "pen"} {
			s.stock(id, "north", 1000)
		}
		var ids []string
		for range 30 {
			w := reserve(line([]string{"mug", "cup"}[r.IntN(2)], 1), line("pen", 1))
			w.OwnerRef = []string{"", "cart 1", "cart 2"}[r.IntN(3)]
			made := s.ok(w).Reservation
			ids = append(ids, made.ID)
			switch r.IntN(5) {
			case 0:
				s.ok(models.Resolve{ID: made.ID, To: models.ReservationReleased})
			case 1:
				s.overdue(made.ID)
			case 2:
				s.ok(models.Resolve{IdempotencyKey: made.ID, ID: made.ID, To: models.ReservationCommitted, OrderRef: "order " + fmt.Sprint(r.IntN(3))})
			}
		}
		all, err := s.ReadReservations(t.Context(), ids)
		require.NoError(t, err)
		slices.SortFunc(all, func(a, b *models.Reservation) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
		})
		s.narrowWindows()
		for range 40 {
			q := randomReservationQuery(r, all)
			var want []string
			for _, one := range all {
				if reservationMatches(one, q) {
					want = append(want, one.ID)
				}
			}
			size := 1 + r.IntN(6)
			var forwards, backwards []string
			request := paging.ReservationRequest{First: size}
			for more := true; more; {
				page, err := s.ListReservations(t.Context(), request, q)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page.Reservations), size)
				for _, one := range page.Reservations {
					forwards = append(forwards, one.ID)
				}
				request.After, more = page.End, page.HasNext
			}
			require.Equal(t, want, forwards, "%+v", q)
			oldest := all[len(all)-1]
			request = paging.ReservationRequest{Last: size, Before: paging.ReservationPosition{CreatedAt: oldest.CreatedAt, ID: oldest.ID}}
			for more := true; more; {
				page, err := s.ListReservations(t.Context(), request, q)
				require.NoError(t, err)
				var part []string
				for _, one := range page.Reservations {
					part = append(part, one.ID)
				}
				backwards = append(part, backwards...)
				request.Before, more = page.Start, page.HasPrev
			}
			if n := len(want); n > 0 && want[n-1] == oldest.ID {
				want = want[:n-1] // the list ends before it
			}
			require.Equal(t, want, backwards, "%+v", q)
		}
		_, err = s.ListReservations(t.Context(), paging.ReservationRequest{Last: 3}, paging.ReservationQuery{})
		require.ErrorContains(t, err, "last needs before")
	})
}

func randomReservationQuery(r *rand.Rand, all []*models.Reservation) paging.ReservationQuery {
	var q paging.ReservationQuery
	if r.IntN(2) == 0 {
		q.State = []models.ReservationState{models.ReservationActive, models.ReservationReleased, models.ReservationExpired, models.ReservationCommitted}[r.IntN(4)]
	}
	if r.IntN(3) == 0 {
		q.ProductID = []string{"mug", "cup", "none"}[r.IntN(3)]
	}
	if r.IntN(4) == 0 {
		q.OwnerRef = "cart 1"
	}
	if r.IntN(6) == 0 {
		q.OrderRef = "order 1"
	}
	if r.IntN(4) == 0 {
		q.Since = &all[len(all)/2+r.IntN(5)].CreatedAt
	}
	if r.IntN(4) == 0 {
		q.Until = &all[r.IntN(5)].CreatedAt
	}
	return q
}

func reservationMatches(one *models.Reservation, q paging.ReservationQuery) bool {
	return (q.State == "" || one.State == q.State) &&
		(q.ProductID == "" || slices.ContainsFunc(one.Lines, func(l models.ReservationLine) bool { return l.ProductID == q.ProductID })) &&
		(q.OwnerRef == "" || one.Owner == q.OwnerRef) && (q.OrderRef == "" || one.Order == q.OrderRef) &&
		(q.Since == nil || !one.CreatedAt.Before(*q.Since)) && (q.Until == nil || !one.CreatedAt.After(*q.Until))
}

// The list begins with the newest reservation, also where its clock was ahead.
func TestReservationPagesOfAnotherClock(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 9)
		for range 3 {
			s.reserved(line("mug", 1))
		}
		ahead := s.reserved(line("mug", 1)).ID
		s.exec("UPDATE reservations SET created_at = "+s.clock(int(time.Hour/time.Second))+" WHERE reservation_id = $1", keyOf(ahead))
		page, err := s.ListReservations(t.Context(), paging.ReservationRequest{First: 9}, paging.ReservationQuery{})
		require.NoError(t, err)
		require.Len(t, page.Reservations, 4)
		require.Equal(t, ahead, page.Reservations[0].ID)
		require.False(t, page.HasNext)
	})
}
