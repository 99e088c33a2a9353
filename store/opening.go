package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"onhand/models"
	"onhand/store/database"
)

// stockedNamedMax is how many levels a StockedError names; it counts the rest.
const stockedNamedMax = 3

// StockedError says that an import met levels that hold something else than
// its rows say, and left them alone.
type StockedError struct {
	Levels int      // how many
	Named  []string // the first few of them, in words
}

func (e *StockedError) Error() string {
	text := fmt.Sprintf("%d of the levels are stocked already: %s", e.Levels, strings.Join(e.Named, "; "))
	if more := e.Levels - len(e.Named); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func (e *StockedError) add(text string) {
	if e.Levels++; len(e.Named) < stockedNamedMax {
		e.Named = append(e.Named, text)
	}
}

// ImportOpening adds products and locations that are not there yet, renames those that
// are, and sets the available quantity of every row, with ledger rows of reason
// IMPORT. Stock that is there already is left alone: when the level of any row
// holds something else than the row says, nothing is imported and the error is
// a *StockedError. So importing a file again completes an import that was cut
// off, and never puts back what was sold since. progress is called with the
// number of rows done; it may be nil.
//
// Should somebody change such a level while the import runs, the chunk of
// [models.StockRowsMax] rows it belongs to is refused; chunks before it stay.
func (s *Store) ImportOpening(ctx context.Context, rows []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	if err := s.checkUnstocked(ctx, rows); err != nil {
		return err
	}
	return s.loadOpening(ctx, rows, locations, channels, true, progress)
}

// ReplaceOpening is ImportOpening for whoever has counted: the available quantity of every
// row is set, whatever it was. What is reserved or committed stays so.
func (s *Store) ReplaceOpening(ctx context.Context, rows []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	return s.loadOpening(ctx, rows, locations, channels, false, progress)
}

// Seed imports into a shop that has nothing of its own yet: no product, or only
// products of these rows without any stock, as an import that was cut off
// leaves behind. Processes that start together on one new database may all call
// it: the first one's stock counts, and the others find it. There may be at
// most [models.StockRowsMax] rows, which are stocked in one transaction.
func (s *Store) Seed(ctx context.Context, rows []models.OpeningRow, locations []models.Location, channels []models.Channel) error {
	fresh, err := s.unstocked(ctx, rows)
	if err != nil || !fresh {
		return err
	}
	err = s.loadOpening(ctx, rows, locations, channels, true, nil)
	var stocked *StockedError
	if errors.As(err, &stocked) { // another process was faster, and has sold some since
		return nil
	}
	return err
}

func (s *Store) loadOpening(ctx context.Context, rows []models.OpeningRow, locations []models.Location, channels []models.Channel, onlyNew bool, progress func(done int)) error {
	catalogue := database.Catalogue{Products: productsOf(rows), Locations: locations, Channels: channels}
	if err := s.database.AddCatalogue(ctx, catalogue); err != nil {
		return fmt.Errorf("add products: %w", err)
	}
	for done := 0; done < len(rows); done += models.StockRowsMax {
		chunk := rows[done:min(done+models.StockRowsMax, len(rows))]
		if err := s.openingChunk(ctx, chunk, onlyNew); err != nil {
			return fmt.Errorf("rows %d to %d: %w", done+1, done+len(chunk), err)
		}
		if progress != nil {
			progress(done + len(chunk))
		}
	}
	return nil
}

// productsOf lists the products of rows once each, in their order.
func productsOf(rows []models.OpeningRow) []models.Product {
	var products []models.Product
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
		products = append(products, product)
	}
	return products
}

func (s *Store) openingChunk(ctx context.Context, rows []models.OpeningRow, onlyNew bool) error {
	set := models.SetStock{IdempotencyKey: rand.Text(), Reason: models.ReasonImport, OnlyNew: onlyNew, Rows: make([]models.SetRow, len(rows))}
	for i, row := range rows {
		set.Rows[i] = models.SetRow{ProductID: row.ProductID, LocationID: row.LocationID, State: models.Available, Quantity: row.Available, IgnoreStale: true}
	}
	result, err := s.Write(ctx, set)
	if err != nil {
		return err
	}
	var errs []error
	var stocked StockedError
	for _, e := range result.Errors {
		if _, ok := e.(models.StaleQuantityError); ok {
			stocked.add(e.GetMessage())
			continue
		}
		errs = append(errs, fmt.Errorf("%v: %s", e.GetPath(), e.GetMessage()))
	}
	if stocked.Levels > 0 {
		errs = append(errs, &stocked)
	}
	return errors.Join(errs...)
}

// checkUnstocked compares every row with the level it would set.
func (s *Store) checkUnstocked(ctx context.Context, rows []models.OpeningRow) error {
	var stocked StockedError
	err := s.eachLevel(ctx, rows, func(row models.OpeningRow, level models.Level) {
		if level.Quantities != (models.Quantities{Available: row.Available}) {
			stocked.add(fmt.Sprintf("%s at %s has %d available, %d reserved, %d committed, and the import says %d",
				row.ProductID, row.LocationID, level.Available, level.Reserved, level.Committed, row.Available))
		}
	})
	if err == nil && stocked.Levels > 0 {
		return &stocked
	}
	return err
}

// unstocked tells whether there is no product, or only products of these rows
// and none of them stocked.
func (s *Store) unstocked(ctx context.Context, rows []models.OpeningRow) (bool, error) {
	empty, err := s.database.Empty(ctx)
	if err != nil || empty {
		return empty, err
	}
	ours := map[string]bool{}
	for _, row := range rows {
		ours[row.ProductID] = true
	}
	page, err := s.database.ReadProducts(ctx, models.Page{First: models.PageSizeMax}, models.ProductFilter{})
	if err != nil || page.HasNext {
		return false, err
	}
	for _, product := range page.Products {
		if !ours[product.ProductID] {
			return false, nil
		}
	}
	levels := 0
	err = s.eachLevel(ctx, rows, func(models.OpeningRow, models.Level) { levels++ })
	return err == nil && levels == 0, err
}

// eachLevel reads the levels that rows name and that are there.
func (s *Store) eachLevel(ctx context.Context, rows []models.OpeningRow, visit func(models.OpeningRow, models.Level)) error {
	for len(rows) > 0 {
		chunk := rows[:min(readBatchMax, len(rows))]
		rows = rows[len(chunk):]
		var ids []string
		for _, product := range productsOf(chunk) {
			ids = append(ids, product.ProductID)
		}
		read, err := s.database.ReadStocks(ctx, ids)
		if err != nil {
			return err
		}
		levels := map[[2]string]models.Level{}
		for _, stock := range read.Stocks {
			for _, level := range stock.Levels {
				levels[[2]string{level.ProductID, level.LocationID}] = level
			}
		}
		for _, row := range chunk {
			if level, there := levels[[2]string{row.ProductID, row.LocationID}]; there {
				visit(row, level)
			}
		}
	}
	return nil
}
