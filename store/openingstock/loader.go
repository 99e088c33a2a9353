package openingstock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

const (
	// readIDsMax bounds the products of one SELECT.
	readIDsMax = 1000
	// stockedNamedMax is how many levels a StockedError names. It counts the others.
	stockedNamedMax = 3
)

// StockedError refuses an import because levels have other stock than their
// counts. They were left alone.
type StockedError struct {
	Levels int      // how many
	Named  []string // the first few, as sentences
}

// Error implements error.
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

// CatalogueStore keeps products and their stock.
type CatalogueStore interface {
	// AddCatalogue adds products, locations and channels that are not there yet.
	AddCatalogue(ctx context.Context, catalogue database.Catalogue) error
	// Empty reports whether no product was ever added.
	Empty(ctx context.Context) (bool, error)
	ReadProducts(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error)
	ReadStocks(ctx context.Context, ids []string) (database.Reading, error)
}

// StockWriter decides one write and answers after its commit.
type StockWriter interface {
	Write(ctx context.Context, write models.Write) (models.WriteResult, error)
}

// Loader loads opening stock.
type Loader struct {
	Database CatalogueStore
	Writer   StockWriter
}

// Import adds products and locations that are not there yet, renames those that
// are, and sets the available quantity of every counted level, with ledger rows of
// reason IMPORT. When a level has other stock than its count, nothing is imported,
// and the error is a *StockedError. progress is called with the number of counts
// done; it may be nil.
//
// When a level changes while the import runs, the chunk of [models.StockRowsMax]
// counts that it belongs to is refused. Chunks before it stay.
func (l *Loader) Import(ctx context.Context, counts []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	if err := l.checkUnstocked(ctx, counts); err != nil {
		return err
	}
	return l.load(ctx, counts, locations, channels, true, progress)
}

// Replace is Import after a new count: it sets the available quantity of every
// level, whatever it was. Reserved and committed units stay.
func (l *Loader) Replace(ctx context.Context, counts []models.OpeningRow, locations []models.Location, channels []models.Channel, progress func(done int)) error {
	return l.load(ctx, counts, locations, channels, false, progress)
}

// OpeningShop is a whole shop to begin with: counts, and what a count does not say.
type OpeningShop struct {
	Counts    []models.OpeningRow
	Locations []models.Location
	Channels  []models.Channel
	// ProductSettings and ChannelSettings are written before the stock. Their products and
	// channels need no count.
	ProductSettings []models.ProductRow
	ChannelSettings []models.ChannelRow
	// States are units in other states than available.
	States []models.SetRow
	// Demo marks the database as the demo shop.
	Demo bool
}

// Seed loads a shop into a database that has no products of its own yet: none, or only
// products of this shop without any stock, which a seed that was cut off leaves. It reports
// whether it did. Instances that start together on a new database may all call it: the
// first one's stock counts. There may be at most [models.StockRowsMax] counts, which are
// set in one transaction.
func (l *Loader) Seed(ctx context.Context, shop OpeningShop) (loaded bool, err error) {
	fresh, err := l.unstocked(ctx, shop)
	if err != nil || !fresh {
		return false, err
	}
	err = l.seed(ctx, shop)
	var stocked *StockedError
	if errors.As(err, &stocked) { // another instance was first, and has sold some since
		return false, nil
	}
	return err == nil, err
}

func (l *Loader) seed(ctx context.Context, shop OpeningShop) error {
	catalogue := database.Catalogue{Products: productsOf(shop.Counts), Locations: shop.Locations, Channels: shop.Channels, Demo: shop.Demo}
	if err := l.Database.AddCatalogue(ctx, catalogue); err != nil {
		return fmt.Errorf("add products: %w", err)
	}
	if len(shop.ProductSettings) > 0 {
		if err := l.write(ctx, models.UpsertProducts{IdempotencyKey: rand.Text(), Rows: shop.ProductSettings}); err != nil {
			return fmt.Errorf("product settings: %w", err)
		}
	}
	if len(shop.ChannelSettings) > 0 {
		if err := l.write(ctx, models.UpsertChannels{IdempotencyKey: rand.Text(), Rows: shop.ChannelSettings}); err != nil {
			return fmt.Errorf("channel settings: %w", err)
		}
	}
	if err := l.loadChunk(ctx, shop.Counts, true); err != nil || len(shop.States) == 0 {
		return err
	}
	return l.write(ctx, models.SetStock{IdempotencyKey: rand.Text(), Reason: models.ReasonImport, Rows: shop.States})
}

// write does one write. Errors are those of the database, and all refusals.
func (l *Loader) write(ctx context.Context, write models.Write) error {
	result, err := l.Writer.Write(ctx, write)
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

func (l *Loader) load(ctx context.Context, counts []models.OpeningRow, locations []models.Location, channels []models.Channel, onlyNew bool, progress func(done int)) error {
	catalogue := database.Catalogue{Products: productsOf(counts), Locations: locations, Channels: channels}
	if err := l.Database.AddCatalogue(ctx, catalogue); err != nil {
		return fmt.Errorf("add products: %w", err)
	}
	for done := 0; done < len(counts); done += models.StockRowsMax {
		chunk := counts[done:min(done+models.StockRowsMax, len(counts))]
		if err := l.loadChunk(ctx, chunk, onlyNew); err != nil {
			return fmt.Errorf("rows %d to %d: %w", done+1, done+len(chunk), err)
		}
		if progress != nil {
			progress(done + len(chunk))
		}
	}
	return nil
}

// productsOf lists the products of counts once each, in their order.
func productsOf(counts []models.OpeningRow) []models.Product {
	var products []models.Product
	seen := map[string]bool{}
	for _, count := range counts {
		if seen[count.ProductID] {
			continue
		}
		seen[count.ProductID] = true
		product := models.Product{ProductID: count.ProductID}
		if count.Title != "" {
			product.Title = &count.Title
		}
		products = append(products, product)
	}
	return products
}

func (l *Loader) loadChunk(ctx context.Context, counts []models.OpeningRow, onlyNew bool) error {
	set := models.SetStock{IdempotencyKey: rand.Text(), Reason: models.ReasonImport, OnlyNew: onlyNew, Rows: make([]models.SetRow, len(counts))}
	for i, count := range counts {
		set.Rows[i] = models.SetRow{ProductID: count.ProductID, LocationID: count.LocationID, State: models.Available, Quantity: count.Available, IgnoreStale: true}
	}
	return l.write(ctx, set)
}

// checkUnstocked compares every count with its level.
func (l *Loader) checkUnstocked(ctx context.Context, counts []models.OpeningRow) error {
	var stocked StockedError
	err := l.eachLevel(ctx, counts, func(count models.OpeningRow, level models.Level) {
		if level.Quantities != (models.Quantities{Available: count.Available}) {
			stocked.add(fmt.Sprintf("%s at %s has %d available, %d reserved, %d committed, and the import says %d",
				count.ProductID, count.LocationID, level.Available, level.Reserved, level.Committed, count.Available))
		}
	})
	if err == nil && stocked.Levels > 0 {
		return &stocked
	}
	return err
}

// unstocked reports whether there is no product, or only products of this shop and none of
// its counts is stocked.
func (l *Loader) unstocked(ctx context.Context, shop OpeningShop) (bool, error) {
	empty, err := l.Database.Empty(ctx)
	if err != nil || empty {
		return empty, err
	}
	own := map[string]bool{}
	for _, count := range shop.Counts {
		own[count.ProductID] = true
	}
	for _, row := range shop.ProductSettings {
		own[row.ProductID] = true
	}
	page, err := l.Database.ReadProducts(ctx, paging.Request{First: models.PageSizeMax}, paging.ProductQuery{})
	if err != nil || page.HasNext {
		return false, err
	}
	for _, product := range page.Products {
		if !own[product.ProductID] {
			return false, nil
		}
	}
	levels := 0
	err = l.eachLevel(ctx, shop.Counts, func(models.OpeningRow, models.Level) { levels++ })
	return err == nil && levels == 0, err
}

// eachLevel calls visit for every counted level that exists.
func (l *Loader) eachLevel(ctx context.Context, counts []models.OpeningRow, visit func(models.OpeningRow, models.Level)) error {
	for len(counts) > 0 {
		chunk := counts[:min(readIDsMax, len(counts))]
		counts = counts[len(chunk):]
		var ids []string
		for _, product := range productsOf(chunk) {
			ids = append(ids, product.ProductID)
		}
		read, err := l.Database.ReadStocks(ctx, ids)
		if err != nil {
			return err
		}
		levels := map[[2]string]models.Level{}
		for _, stock := range read.Stocks {
			for _, level := range stock.Levels {
				levels[[2]string{level.ProductID, level.LocationID}] = level
			}
		}
		for _, count := range chunk {
			if level, found := levels[[2]string{count.ProductID, count.LocationID}]; found {
				visit(count, level)
			}
		}
	}
	return nil
}
