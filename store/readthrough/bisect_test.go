package readthrough

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/poison"
	"onhand/store/database"
	"onhand/store/storetest/fixture"
)

// poisonSource is a database with poison rows.
type poisonSource struct {
	poison  []string
	epochs  []string // of one SELECT after the other; then "e"
	err     error    // of every SELECT
	selects int
}

func (s *poisonSource) ReadStocks(_ context.Context, ids []string) (database.Reading, error) {
	s.selects++
	if s.err != nil {
		return database.Reading{}, s.err
	}
	reading := database.Reading{Epoch: "e"}
	if s.selects <= len(s.epochs) {
		reading.Epoch = s.epochs[s.selects-1]
	}
	for _, id := range ids {
		if slices.Contains(s.poison, id) {
			return database.Reading{}, errors.New("cannot read " + id)
		}
		reading.Stocks = append(reading.Stocks, &models.Stock{Product: models.Product{ProductID: id}})
	}
	return reading, nil
}

// comparedEpochs records the epochs that readers compare.
type comparedEpochs struct{ compared []string }

func (e *comparedEpochs) Epoch() string        { return "e" }
func (e *comparedEpochs) Compare(epoch string) { e.compared = append(e.compared, epoch) }

// A poison row among a thousand products is found in few SELECTs, and all other
// products are read.
func TestBisection(t *testing.T) {
	t.Parallel()
	ids := fixture.Numbered(1000)
	source, epochs := &poisonSource{poison: []string{"p042"}}, &comparedEpochs{}
	reading, unreadable, err := NewBisector(source, epochs).Read(t.Context(), ids)
	require.NoError(t, err)
	require.Len(t, reading.Stocks, 999)
	require.Len(t, unreadable, 1)
	require.ErrorContains(t, unreadable["p042"], "cannot read p042")
	require.LessOrEqual(t, source.selects, 21)
	require.Equal(t, []string{"e"}, epochs.compared)

	_, err = NewBisector(source, epochs).Stocks(t.Context(), []string{"p041", "p042"})
	var asError *poison.RowsError
	require.ErrorAs(t, err, &asError)
	require.Contains(t, asError.Causes, "p042")
}

// A database that does not answer is asked once, and halves that were read in two
// epochs are no reading.
func TestBisectionGivesUp(t *testing.T) {
	t.Parallel()
	away := &poisonSource{err: models.Unavailable("away", nil)}
	_, _, err := NewBisector(away, &comparedEpochs{}).Read(t.Context(), fixture.Numbered(100))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.Equal(t, 1, away.selects)

	replaced := &poisonSource{poison: []string{"p000"}, epochs: []string{"", "one", "one", "two"}}
	_, _, err = NewBisector(replaced, &comparedEpochs{}).Read(t.Context(), fixture.Numbered(8))
	require.ErrorIs(t, err, errEpochChanged)
}

// There are far more poison rows than one bisection can find. A product that was
// not reached is an error too, never "unknown", and the SELECTs are bounded.
func TestManyBrokenProducts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	s := fixture.SQLite(t, path)
	ids := fixture.Numbered(100)
	s.StockUp(t, 5, ids...)
	raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Exec("UPDATE products SET tracked = 'perhaps' WHERE product_id > 'p'")
	require.NoError(t, err)
	selects := s.Database.Reads()
	reading, unreadable, err := NewBisector(s.Database, &comparedEpochs{}).Read(t.Context(), ids)
	require.NoError(t, err)
	require.Empty(t, reading.Stocks)
	require.Len(t, unreadable, len(ids))
	for id, cause := range unreadable {
		require.Error(t, cause, id)
	}
	require.LessOrEqual(t, s.Database.Reads()-selects, int64(selectsMax))
}
