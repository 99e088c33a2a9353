package demoshop

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/openingstock"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// directWriter decides each write in a transaction of its own.
type directWriter struct{ *database.Database }

func (w directWriter) Write(ctx context.Context, write models.Write) (models.WriteResult, error) {
	outcome, err := w.Database.WriteUnderLock(ctx, []models.Write{write})
	if err != nil {
		return models.WriteResult{}, err
	}
	return outcome.Results[0], outcome.Results[0].Fault
}

// The demo shop shows the whole schema on either engine, and the products of documents have
// the stock of the file alone.
func TestShopShowsTheWholeSchema(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		loader := &openingstock.Loader{Database: s.Database, Writer: directWriter{s.Database}}
		shop := Shop(time.Now())
		loaded, err := loader.Seed(t.Context(), shop)
		require.NoError(t, err)
		require.True(t, loaded)
		loaded, err = loader.Seed(t.Context(), Shop(time.Now()))
		require.NoError(t, err)
		require.False(t, loaded, "it is there already")
		_, err = s.Database.ReadMeta(t.Context())
		require.NoError(t, err)
		require.True(t, s.Database.IsDemo())

		ids := []string{}
		for _, row := range shop.ProductSettings {
			ids = append(ids, row.ProductID)
		}
		seen := map[string]bool{}
		for _, row := range shop.Counts {
			if !seen[row.ProductID] {
				seen[row.ProductID] = true
				ids = append(ids, row.ProductID)
			}
		}
		slices.Sort(ids)
		read, err := s.Database.ReadStocks(t.Context(), slices.Compact(ids))
		require.NoError(t, err)
		statuses, states, shows := map[models.StockStatus]int{}, models.Quantities{}, map[string]bool{}
		for _, stock := range read.Stocks {
			statuses[stock.Status()]++
			states = states.Plus(stock.Total())
			shows["not tracked"] = shows["not tracked"] || !stock.Tracked
			shows["backorder with a date"] = shows["backorder with a date"] || stock.Status() == models.Backorder && stock.NextRestockAt != nil
			shows["preorder"] = shows["preorder"] || len(stock.Levels) == 0 && stock.AvailableForSale() && stock.Tracked
			shows["limit"] = shows["limit"] || stock.MaxPerReservation != nil
			shows["limit per owner"] = shows["limit per owner"] || stock.MaxPerOwner != nil && stock.ProductID == LimitedID
			shows["buffers of a product"] = shows["buffers of a product"] || len(stock.ChannelBuffers()) > 0
			if slices.Contains(Quiet, stock.ProductID) {
				want := 0
				for _, row := range shop.Counts {
					if row.ProductID == stock.ProductID {
						want += row.Available
					}
				}
				require.Equal(t, models.Quantities{Available: want}, stock.Total(), stock.ProductID)
			}
		}
		for _, status := range []models.StockStatus{models.InStock, models.LowStock, models.OutOfStock, models.Backorder} {
			require.Positive(t, statuses[status], status)
		}
		for _, what := range []string{"not tracked", "backorder with a date", "preorder", "limit", "limit per owner", "buffers of a product"} {
			require.True(t, shows[what], what)
		}
		for _, state := range models.Settable {
			require.Positive(t, *states.Of(state), state)
		}
		directory, err := s.Database.Directory(t.Context())
		require.NoError(t, err)
		require.Len(t, directory.Locations, 4)
		require.Len(t, directory.Channels, 3)
	})
}
