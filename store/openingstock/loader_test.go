package openingstock

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var locations = []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}}

// directWriter decides each write in a transaction of its own.
type directWriter struct{ *database.Database }

func (w directWriter) Write(ctx context.Context, write models.Write) (models.WriteResult, error) {
	outcome, err := w.Database.WriteUnderLock(ctx, []models.Write{write})
	if err != nil {
		return models.WriteResult{}, err
	}
	return outcome.Results[0], outcome.Results[0].Fault
}

func newLoader(s *fixture.Stack) *Loader {
	return &Loader{Database: s.Database, Writer: directWriter{s.Database}}
}

func counted(product string, quantity int) models.OpeningRow {
	return models.OpeningRow{ProductID: product, Title: "Product " + product, LocationID: "a", Available: quantity}
}

func (l *Loader) importInto(t *testing.T, counts ...models.OpeningRow) error {
	t.Helper()
	return l.Import(t.Context(), counts, locations, nil, nil)
}

// level returns the only level of a product; nil for an unknown product.
func level(t *testing.T, s *fixture.Stack, product string) *models.Quantities {
	t.Helper()
	read, err := s.Database.ReadStocks(t.Context(), []string{product})
	require.NoError(t, err)
	if len(read.Stocks) == 0 {
		return nil
	}
	require.Len(t, read.Stocks[0].Levels, 1, product)
	return &read.Stocks[0].Levels[0].Quantities
}

// A file that is imported again never brings back what was sold or reserved since.
// It changes nothing when it is refused, and it completes an import that was cut
// off. A replacement sets every level.
func TestImportTwice(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		l := newLoader(s)
		require.NoError(t, l.importInto(t, counted("reserved", 10), counted("sold out", 2)))
		require.NoError(t, l.importInto(t, counted("reserved", 10), counted("sold out", 2), counted("late", 5)), "nothing has changed, and one is new")
		require.Equal(t, &models.Quantities{Available: 5}, level(t, s, "late"))

		require.Empty(t, s.Write(t, fixture.Reserve("k", "reserved", 3, time.Minute)).Errors)
		require.Empty(t, s.Write(t, fixture.Receive("sale", "sold out", -2)).Errors)
		err := l.importInto(t, counted("newer", 1), counted("reserved", 10), counted("sold out", 2))
		var stocked *StockedError
		require.ErrorAs(t, err, &stocked)
		require.Equal(t, 2, stocked.Levels)
		require.ErrorContains(t, err, "reserved at a has 7 available, 3 reserved, 0 committed, and the import says 10")
		require.ErrorContains(t, err, "sold out at a has 0 available")
		require.Nil(t, level(t, s, "newer"), "a refused import adds nothing")
		require.Equal(t, &models.Quantities{Available: 7, Reserved: 3}, level(t, s, "reserved"))
		require.Equal(t, &models.Quantities{}, level(t, s, "sold out"))

		require.NoError(t, l.Replace(t.Context(), []models.OpeningRow{counted("reserved", 10), counted("sold out", 2)}, locations, nil, nil))
		require.Equal(t, &models.Quantities{Available: 10, Reserved: 3}, level(t, s, "reserved"), "the reservation stays")
		require.Equal(t, &models.Quantities{Available: 2}, level(t, s, "sold out"))
	})
}

// Stock that is sold after the import looked at it and before it wrote is left
// alone too.
func TestImportBesideASale(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 10, "p")
		require.Empty(t, s.Write(t, fixture.Reserve("k", "p", 3, time.Minute)).Errors)
		counts := []models.OpeningRow{counted("other", 1), counted("p", 10)}
		err := newLoader(s).load(t.Context(), counts, locations, nil, true, nil)
		var stocked *StockedError
		require.ErrorAs(t, err, &stocked)
		require.Equal(t, 1, stocked.Levels)
		require.Equal(t, &models.Quantities{Available: 7, Reserved: 3}, level(t, s, "p"))
	})
}

// Several instances that seed a new shop at the same time stock it once, also when
// the first has sold some by then.
func TestSeedAtOnce(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		l := newLoader(s)
		var all sync.WaitGroup
		errs := make(chan error, 8)
		for range cap(errs) {
			all.Go(func() {
				if _, err := l.Seed(t.Context(), OpeningShop{Counts: []models.OpeningRow{counted("one", 1), counted("two", 2)}, Locations: locations}); err != nil {
					errs <- err
					return
				}
				_, err := l.Writer.Write(t.Context(), fixture.Receive("first sale", "two", -1))
				errs <- err
			})
		}
		all.Wait()
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		require.Equal(t, &models.Quantities{Available: 1}, level(t, s, "one"))
		require.Equal(t, &models.Quantities{Available: 1}, level(t, s, "two"))
	})
}

// A seed that was cut off leaves products without stock, and is completed. A shop
// with products of its own is left alone.
func TestSeedKnowsItsOwnShop(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		l := newLoader(s)
		counts := []models.OpeningRow{counted("one", 1), counted("two", 2)}
		require.NoError(t, s.Database.AddCatalogue(t.Context(), database.Catalogue{Products: productsOf(counts), Locations: locations}))
		loaded, err := l.Seed(t.Context(), OpeningShop{Counts: counts, Locations: locations})
		require.NoError(t, err)
		require.True(t, loaded)
		require.Equal(t, &models.Quantities{Available: 2}, level(t, s, "two"))

		loaded, err = l.Seed(t.Context(), OpeningShop{Counts: []models.OpeningRow{counted("three", 3)}, Locations: locations})
		require.NoError(t, err)
		require.False(t, loaded)
		require.Nil(t, level(t, s, "three"))
	})
}
