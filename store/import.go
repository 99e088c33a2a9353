package store

import (
	"context"
	"errors"
	"fmt"

	"onhand/models"
	"onhand/store/database"
)

// OpeningRow is the counted stock of one product at one location.
type OpeningRow struct {
	ProductID, Title, LocationID string
	Available                    int // units
}

// Import adds products and locations that are not there yet, renames those that
// are, and sets the available quantity of every row, with ledger rows of reason
// IMPORT. Importing again sets the quantities again, whatever was sold in
// between. progress is called with the number of rows done; it may be nil.
func (s *Store) Import(ctx context.Context, rows []OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	catalogue := database.Catalogue{Locations: locations, Channels: channels}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.ProductID] {
			continue
		}
		seen[row.ProductID] = true
		product := models.Product{ProductID: row.ProductID}
		if row.Title != "" {
			product.Title = &row.Title
		}
		catalogue.Products = append(catalogue.Products, product)
	}
	if err := s.database.AddCatalogue(ctx, catalogue); err != nil {
		return fmt.Errorf("add products: %w", err)
	}
	for done := 0; done < len(rows); done += models.StockRowsMax {
		chunk := rows[done:min(done+models.StockRowsMax, len(rows))]
		if err := s.importChunk(ctx, chunk); err != nil {
			return fmt.Errorf("rows %d to %d: %w", done+1, done+len(chunk), err)
		}
		if progress != nil {
			progress(done + len(chunk))
		}
	}
	return nil
}

func (s *Store) importChunk(ctx context.Context, rows []OpeningRow) error {
	set := models.SetStock{Reason: models.ReasonImport, Rows: make([]models.SetRow, len(rows))}
	for i, row := range rows {
		set.Rows[i] = models.SetRow{ProductID: row.ProductID, LocationID: row.LocationID, State: models.Available, Quantity: row.Available}
	}
	result, err := s.Write(ctx, set)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range result.Errors {
		errs = append(errs, fmt.Errorf("%v: %s", e.GetPath(), e.GetMessage()))
	}
	return errors.Join(errs...)
}

// Empty tells whether no product was ever added.
func (s *Store) Empty(ctx context.Context) (bool, error) { return s.database.Empty(ctx) }
