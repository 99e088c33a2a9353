package store

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

var importPlaces = []models.Location{{LocationID: "a", Name: "A", Priority: 1, Active: true}}

func opening(product string, quantity int) models.OpeningRow {
	return models.OpeningRow{ProductID: product, Title: "Product " + product, LocationID: "a", Available: quantity}
}

func importInto(t *testing.T, s *Store, rows ...models.OpeningRow) error {
	t.Helper()
	return s.ImportOpening(t.Context(), rows, importPlaces, nil, nil)
}

// fresh is a product's only level, from the database.
func fresh(t *testing.T, s *Store, product string) models.Quantities {
	t.Helper()
	stock, err := s.FreshStock(t.Context(), product)
	require.NoError(t, err)
	require.NotNil(t, stock, product)
	require.Len(t, stock.Levels, 1, product)
	return stock.Levels[0].Quantities
}

// TestImportTwice: a file imported again never brings back what was sold or
// held since, changes nothing when it is refused, and completes an import that
// was cut off.
func TestImportTwice(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		require.NoError(t, importInto(t, s, opening("held", 10), opening("sold out", 2)))
		require.NoError(t, importInto(t, s, opening("held", 10), opening("sold out", 2), opening("late", 5)), "nothing has changed, and one is new")
		require.Equal(t, models.Quantities{Available: 5}, fresh(t, s, "late"))

		require.Empty(t, write(t, s, hold("k", "held", 3, time.Minute)).Errors)
		require.Empty(t, write(t, s, receive("gone", "sold out", -2)).Errors)
		err := importInto(t, s, opening("newer", 1), opening("held", 10), opening("sold out", 2))
		var stocked *StockedError
		require.ErrorAs(t, err, &stocked)
		require.Equal(t, 2, stocked.Levels)
		require.ErrorContains(t, err, "held at a has 7 available, 3 reserved, 0 committed, and the import says 10")
		require.ErrorContains(t, err, "sold out at a has 0 available")
		unknown, err := s.FreshStock(t.Context(), "newer")
		require.NoError(t, err)
		require.Nil(t, unknown, "a refused import adds nothing")
		require.Equal(t, models.Quantities{Available: 7, Reserved: 3}, fresh(t, s, "held"))
		require.Equal(t, models.Quantities{}, fresh(t, s, "sold out"))

		require.NoError(t, s.ReplaceOpening(t.Context(), []models.OpeningRow{opening("held", 10), opening("sold out", 2)}, importPlaces, nil, nil))
		require.Equal(t, models.Quantities{Available: 10, Reserved: 3}, fresh(t, s, "held"), "counted; the hold stays")
		require.Equal(t, models.Quantities{Available: 2}, fresh(t, s, "sold out"))
	})
}

// TestImportBesideASale: stock that is sold after the import looked and before
// it wrote is left alone too.
func TestImportBesideASale(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 10, "p")
		require.Empty(t, write(t, s, hold("k", "p", 3, time.Minute)).Errors)
		err := s.loadOpening(t.Context(), []models.OpeningRow{opening("other", 1), opening("p", 10)}, importPlaces, nil, true, nil)
		var stocked *StockedError
		require.ErrorAs(t, err, &stocked)
		require.Equal(t, 1, stocked.Levels)
		require.Equal(t, models.Quantities{Available: 7, Reserved: 3}, fresh(t, s, "p"))
	})
}

// addProducts leaves what an import that was cut off leaves: products without
// stock.
func addProducts(t *testing.T, s *Store, rows []models.OpeningRow) {
	t.Helper()
	require.NoError(t, s.database.AddCatalogue(t.Context(), database.Catalogue{Products: productsOf(rows), Locations: importPlaces}))
}

// TestSeedAtOnce: several copies at once stock a new shop once, also when the
// first has sold some by then.
func TestSeedAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		var all sync.WaitGroup
		errs := make(chan error, 8)
		for range cap(errs) {
			all.Go(func() {
				if err := s.Seed(t.Context(), []models.OpeningRow{opening("one", 1), opening("two", 2)}, importPlaces, nil); err != nil {
					errs <- err
					return
				}
				_, err := s.Write(t.Context(), receive("first sale", "two", -1))
				errs <- err
			})
		}
		all.Wait()
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		require.Equal(t, models.Quantities{Available: 1}, fresh(t, s, "one"))
		require.Equal(t, models.Quantities{Available: 1}, fresh(t, s, "two"))
	})
}

// TestSeedTellsShopsApart: what an import left that was cut off is stocked, and
// a shop of somebody's is left alone.
func TestSeedTellsShopsApart(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		rows := []models.OpeningRow{opening("one", 1), opening("two", 2)}
		addProducts(t, s, rows)
		require.NoError(t, s.Seed(t.Context(), rows, importPlaces, nil))
		require.Equal(t, models.Quantities{Available: 2}, fresh(t, s, "two"))

		others := []models.OpeningRow{opening("three", 3)}
		require.NoError(t, s.Seed(t.Context(), others, importPlaces, nil))
		stock, err := s.FreshStock(t.Context(), "three")
		require.NoError(t, err)
		require.Nil(t, stock)
	})
}
