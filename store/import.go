package store

import (
	"context"

	"onhand/models"
	"onhand/store/database"
)

// ImportStage and ImportProgress tell how far an import of a file has come.
type (
	ImportStage    = database.ImportStage
	ImportProgress = database.ImportProgress
)

// The stages of an import.
const (
	ImportReading  = database.ImportReading
	ImportDeciding = database.ImportDeciding
	ImportWriting  = database.ImportWriting
)

// Import takes a file's rows, all that are fine or none; see
// [database.Database.Import]. It does not tell Redis: the outbox does, through
// the relay of whoever serves.
func (s *Store) Import(ctx context.Context, next func() (models.StockRow, error), options models.ImportOptions, each func(models.ImportedRow) error, progress ImportProgress) (models.ImportSummary, error) {
	return s.database.Import(ctx, next, options, each, progress)
}

// EachStock hands out all locations and the number of products, then every
// product's stock in id order, all as of one moment; one at a time.
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
