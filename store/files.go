package store

import (
	"context"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/openingstock"
)

// Import writes a file's rows, all that are fine or none; see
// [database.Database.Import]. It does not publish: the relay of an instance that
// serves does, from the outbox.
func (s *Store) Import(ctx context.Context, next func() (models.StockRow, error), options models.ImportOptions, each func(models.ImportedRow) error, progress models.ImportProgress) (models.ImportSummary, error) {
	return s.database.Import(ctx, next, options, each, progress)
}

// ImportOpening imports the counted stock of a new shop; see
// [openingstock.Loader.Import].
func (s *Store) ImportOpening(ctx context.Context, counts []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	return s.opening.Import(ctx, counts, locations, channels, progress)
}

// ReplaceOpening is ImportOpening that also sets levels which are stocked already;
// see [openingstock.Loader.Replace].
func (s *Store) ReplaceOpening(ctx context.Context, counts []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	return s.opening.Replace(ctx, counts, locations, channels, progress)
}

// Seed loads a shop into an empty database, and reports whether it did; see
// [openingstock.Loader.Seed].
func (s *Store) Seed(ctx context.Context, shop openingstock.OpeningShop) (loaded bool, err error) {
	return s.opening.Seed(ctx, shop)
}

// ReadMeta reads what the database says of itself, such as whether it is the demo shop.
func (s *Store) ReadMeta(ctx context.Context) (database.Meta, error) { return s.database.ReadMeta(ctx) }

// EachStock calls begin with all locations and the number of products, and then
// each with every product's stock in the order of ids, all as of one moment.
func (s *Store) EachStock(ctx context.Context, begin func([]models.Location, int) error, each func(*models.Stock) error) error {
	return s.database.EachStock(ctx, begin, each)
}

// Locations reads all locations, by priority and id.
func (s *Store) Locations(ctx context.Context) ([]models.Location, error) {
	directory, err := s.database.Directory(ctx)
	if err != nil {
		return nil, err
	}
	return directory.Locations, nil
}
