package store

import (
	"context"
	"slices"

	"onhand/models"
)

// StoredStocks reads products from the database alone, all as of one moment: values in
// the order of ids, nil for unknown products. It neither reads nor fills Redis.
func (s *Store) StoredStocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	distinct := slices.Clone(ids)
	slices.Sort(distinct)
	reading, err := s.database.ReadStocks(ctx, slices.Compact(distinct))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*models.Stock, len(reading.Stocks))
	for _, stock := range reading.Stocks {
		byID[stock.ProductID] = stock
	}
	stocks := make([]*models.Stock, len(ids))
	for i, id := range ids {
		stocks[i] = byID[id]
	}
	return stocks, nil
}

// StoredDirectory reads all locations and channels from the database.
func (s *Store) StoredDirectory(ctx context.Context) (*models.Directory, error) {
	return s.database.Directory(ctx)
}
