package database_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/history"
)

// requireHistories requires that the histories of products are what ReadStockAsOf returns
// for each moment, from a second ago or less until now.
func (s *shop) requireHistories(products ...string) {
	s.t.Helper()
	ago := time.Duration(10+rand.N(1000)) * time.Millisecond
	histories := s.histories(history.HistoryRequest{ProductIDs: products, Since: s.now().Add(-ago), Points: 2 + rand.N(9)})
	require.Len(s.t, histories, len(products))
	for _, h := range histories {
		require.True(s.t, h.Complete())
		s.requireHistory(h)
	}
}

func (s *shop) histories(request history.HistoryRequest) []*history.StockHistory {
	s.t.Helper()
	histories, err := s.ReadHistories(context.Background(), request)
	require.NoError(s.t, err)
	return histories
}

// requireHistory compares the points of a history.
func (s *shop) requireHistory(h *history.StockHistory) {
	s.t.Helper()
	points := h.Points()
	require.Len(s.t, points, h.Moments.Count-max(h.Known, h.Began))
	for moment := range h.Began { // nothing is left out but that there was nothing
		want, err := s.ReadStockAsOf(context.Background(), h.ProductID, h.Moments.At(moment).Add(time.Millisecond-time.Microsecond))
		if err == nil {
			require.Equal(s.t, models.Quantities{}, want.Total(), "%s at %s", h.ProductID, h.Moments.At(moment))
		}
	}
	for _, p := range points {
		want, err := s.ReadStockAsOf(context.Background(), h.ProductID, p.At.Add(time.Millisecond-time.Microsecond))
		require.NoError(s.t, err)
		total := want.Total()
		require.Equal(s.t, []int{want.Quantity(), total.Reserved, total.Committed, total.OnHand(), total.Incoming},
			[]int{p.Available(), p.Reserved(), p.Committed(), p.OnHand(), p.Incoming()}, "%s at %s", h.ProductID, p.At)
		require.Equal(s.t, stocked(want.Levels), stocked(p.Levels()), "%s at %s", h.ProductID, p.At)
	}
}

// stocked leaves out empty levels: a level that did not exist yet has zeros in a history.
func stocked(levels []models.Level) (list []models.Level) {
	for _, l := range levels {
		if l.Quantities != (models.Quantities{}) {
			list = append(list, l)
		}
	}
	return list
}

// The history of products is the stock of each moment, through random writes by Onhand and
// outside writers, reservations that expire, and levels that are deleted, however many
// SELECTs it takes.
func TestHistories(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		products := []string{"cup", "jug", "mug"}
		s.stock("jug", "north", 40, "far", 5)
		s.stock("cup", "south", 500)
		s.stock("mug")
		since := s.now()
		for range 30 {
			p := products[rand.N(len(products))]
			switch rand.N(5) {
			case 0:
				w := reserve(line("cup", 1), line("jug", 1))
				w.TTL, w.AllowPartial = time.Millisecond, true
				s.do(w)
			case 1:
				s.exec("INSERT INTO stock_levels (product_id, location_id, available) VALUES ($1, 'south', 0) ON CONFLICT DO NOTHING", p)
				s.exec("UPDATE stock_levels SET available = available + 5, incoming = incoming + 1 WHERE product_id = $1 AND location_id = 'south'", p)
			case 2:
				s.exec("DELETE FROM stock_levels WHERE product_id = 'mug' AND reserved = 0 AND committed = 0")
			case 3:
				s.sweeps(100)
			default:
				s.ok(adjust(delta(p, []string{"north", "south", "far"}[rand.N(3)], models.Available, 1+rand.N(9)), delta(p, "north", models.Damaged, 1)))
			}
		}
		for _, first := range []int64{1, 2, 1000} {
			s.SetHistoryWindows(first, 60_000)
			for _, points := range []int{2, 7, 60} {
				for _, h := range s.histories(history.HistoryRequest{ProductIDs: products, Since: since.Add(-100 * time.Millisecond), Points: points}) {
					require.True(t, h.Complete())
					s.requireHistory(h)
				}
			}
			until := since.Add(s.now().Sub(since) / 2)
			s.requireHistory(s.histories(history.HistoryRequest{ProductIDs: products, Since: since.Add(-time.Hour), Until: &until, Points: 3})[0])
		}
		require.Empty(t, s.histories(history.HistoryRequest{ProductIDs: []string{"ghost"}, Since: since, Points: 2}))
	})
}

// Chunks of the ledger count as the moments when they were written.
func TestHistoriesOfChunks(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		since := s.now()
		s.writeMixedLedger(t, 8)
		require.Positive(t, s.number("SELECT count(*) FROM ledger_chunks"))
		for _, h := range s.histories(history.HistoryRequest{ProductIDs: []string{"cup", "jug", "mug"}, Since: since, Points: 40}) {
			s.requireHistory(h)
		}
	})
}

// Where the ledger of a product is too long, the newest moments are known, and are right.
func TestHistoryIsBounded(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		since := s.now()
		for range 20 {
			s.ok(adjust(delta("mug", "north", models.Available, 1)))
			at := s.now()
			require.Eventually(t, func() bool { return s.now().Sub(at) > 3*time.Millisecond }, generous, time.Millisecond)
		}
		s.SetHistoryWindows(4, 10)
		h := s.histories(history.HistoryRequest{ProductIDs: []string{"mug"}, Since: since, Points: 20})[0]
		require.False(t, h.Complete())
		require.NotEmpty(t, h.Points())
		require.Less(t, len(h.Points()), 20)
		s.requireHistory(h)
	})
}

// A history begins with the product's first movement. A product that was sold out keeps the
// moments when it had nothing.
func TestHistoryBegins(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		since := s.now()
		s.stock("mug", "north", 5)
		request := history.HistoryRequest{ProductIDs: []string{"mug"}, Since: since.Add(-time.Hour), Points: 2}
		h := s.histories(request)[0]
		require.True(t, h.Complete())
		require.Len(t, h.Points(), 1)
		require.Equal(t, 5, h.Points()[0].Available())
		s.requireHistory(h)

		s.ok(adjust(delta("mug", "north", models.Available, -5)))
		request.Since = s.now()
		require.Eventually(t, func() bool { return s.now().Sub(request.Since) > 300*time.Millisecond }, generous, time.Millisecond)
		s.ok(adjust(delta("mug", "north", models.Available, 7)))
		request.Points = 10
		h = s.histories(request)[0]
		require.Len(t, h.Points(), 10)
		require.Zero(t, h.Points()[0].Available())
		s.requireHistory(h)
	})
}

func TestHistoryRequestsOutOfBounds(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 5)
		now := s.now()
		later, year0 := now.Add(time.Hour), time.Date(0, 12, 31, 23, 0, 0, 0, time.UTC)
		many := make([]string, history.ProductsMax+1)
		for name, r := range map[string]history.HistoryRequest{
			"points must be between":    {ProductIDs: []string{"mug"}, Since: now.Add(-time.Hour), Points: 1},
			"points must be between 2":  {ProductIDs: []string{"mug"}, Since: now.Add(-time.Hour), Points: history.PointsMax + 1},
			"1 to 50 products":          {ProductIDs: many, Since: now.Add(-time.Hour), Points: 2},
			"ask for 1 to 50":           {Since: now.Add(-time.Hour), Points: 2},
			"products times points":     {ProductIDs: many[:50], Since: now.Add(-time.Hour), Points: 101},
			"product id 0":              {ProductIDs: []string{""}, Since: now.Add(-time.Hour), Points: 2},
			"in the future":             {ProductIDs: []string{"mug"}, Since: now.Add(-time.Hour), Until: &later, Points: 2},
			"since must be before":      {ProductIDs: []string{"mug"}, Since: now, Until: &now, Points: 2},
			"at most 366 days":          {ProductIDs: []string{"mug"}, Since: now.Add(-367 * 24 * time.Hour), Points: 2},
			"must be in the years 1 to": {ProductIDs: []string{"mug"}, Since: year0, Points: 2},
		} {
			_, err := s.ReadHistories(t.Context(), r)
			require.Equal(t, models.CodeBadUserInput, models.CodeOf(err), name)
			require.ErrorContains(t, err, name)
		}
	})
}
