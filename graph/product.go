package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/generated"
	"onhand/models"
	"onhand/models/paging"
)

// productQuery checks a filter of products.
func productQuery(f *generated.ProductFilter, order paging.ProductOrder) (paging.ProductQuery, error) {
	narrow := paging.ProductQuery{Order: order}
	if f == nil {
		return narrow, nil
	}
	narrow.IDs, narrow.Tracked, narrow.Statuses = f.Ids, f.Tracked, f.Status
	if err := checkProductIDs(narrow.IDs); err != nil {
		return narrow, err
	}
	narrow.TitleContains, narrow.Search = textOf(f.TitleContains), textOf(f.Search)
	for name, text := range map[string]string{"titleContains": narrow.TitleContains, "search": narrow.Search} {
		if problem := models.CheckText(text, models.TextLengthMax); text != "" && problem != "" {
			return narrow, models.BadInput("%s %s", name, problem)
		}
	}
	for _, field := range []struct {
		name  string
		value *string
		to    *string
	}{{"locationId", f.LocationID, &narrow.LocationID}, {"channel", f.Channel, &narrow.Channel}} {
		if field.value == nil {
			continue
		}
		if problem := models.CheckID(*field.value); problem != "" {
			return narrow, models.BadInput("filter.%s %s", field.name, problem)
		}
		*field.to = *field.value
	}
	return narrow, nil
}

// productPage reads a page of products. The levels of a location are protected, so what
// narrows a list by them is too.
func (r *Resolver) productPage(ctx context.Context, first *int, after *string, last *int, before *string, filter *generated.ProductFilter, orderBy paging.ProductOrder) (paging.ProductPage, error) {
	page, err := productPageOf(first, after, last, before)
	if err != nil {
		return paging.ProductPage{}, err
	}
	if filter != nil && filter.LocationID != nil {
		if err := accessRules().Check(ctx, "ProductFilter.locationId"); err != nil {
			return paging.ProductPage{}, err
		}
	}
	if orderBy == paging.ByQuantity { // it shows quantities beyond the cap
		if err := accessRules().Check(ctx, "ProductOrder.QUANTITY"); err != nil {
			return paging.ProductPage{}, err
		}
	}
	narrow, err := productQuery(filter, orderBy)
	if err != nil {
		return paging.ProductPage{}, err
	}
	if excludesAll(filter) {
		return paging.ProductPage{Total: new(int)}, nil
	}
	return r.Store.Products(ctx, page, narrow)
}

// productPageOf checks the arguments of a page of products. It refuses a cursor of another
// list.
func productPageOf(first *int, after *string, last *int, before *string) (paging.Request, error) {
	page, err := pageOf(first, after, last, before)
	if err != nil {
		return page, err
	}
	for _, key := range []*string{&page.After, &page.Before} {
		if *key == "" {
			continue
		}
		id, ok := paging.ProductOfCursor(*key)
		if !ok || models.CheckText(id, models.IDLengthMax) != "" || id == "" {
			return page, models.BadInput("this is no cursor of an edge of products: %.40q", cursorOf(*key))
		}
		*key = id
	}
	return page, nil
}

func productCursorOf(id string) string { return string(paging.AppendProductCursor(nil, id)) }

// excludesAll reports whether a filter names an empty list of products.
func excludesAll(filter *generated.ProductFilter) bool {
	return filter != nil && filter.Ids != nil && len(filter.Ids) == 0
}

func productConnection(page paging.ProductPage) *generated.ProductConnection {
	c := &generated.ProductConnection{
		Edges: make([]*generated.ProductEdge, len(page.Products)), Nodes: pointersTo(page.Products),
		PageInfo: &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrev}, TotalCount: page.Total,
	}
	for i, product := range c.Nodes {
		c.Edges[i] = &generated.ProductEdge{Cursor: productCursorOf(product.ProductID), Node: product}
	}
	if page.Start != "" {
		start := productCursorOf(page.Start)
		c.PageInfo.StartCursor = &start
	}
	if page.End != "" {
		end := productCursorOf(page.End)
		c.PageInfo.EndCursor = &end
	}
	return c
}

// productsOf returns the products of stocks, nil where a stock is nil.
func productsOf(stocks []*models.Stock) []*models.Product {
	products := make([]*models.Product, len(stocks))
	for i, s := range stocks {
		if s != nil {
			products[i] = &s.Product
		}
	}
	return products
}

// stockOfEach loads the stocks of products, some of which cannot be read, nil where a
// product is nil. The error is a graphql.BatchErrorList.
func (r *Resolver) stockOfEach(ctx context.Context, products []*models.Product, channel *string) ([]*models.Stock, error) {
	found, errs := make([]*models.Stock, len(products)), make(graphql.BatchErrorList, len(products))
	for i, p := range products {
		if p != nil {
			found[i], errs[i] = r.stockIn(ctx, p.ProductID, channel)
		}
	}
	return found, errs
}

// productRows converts the input of upsertProducts. A field that the input leaves out
// differs from one that it sets to null.
func productRows(input []*generated.UpsertProductRow) []models.ProductRow {
	rows := make([]models.ProductRow, len(input))
	for i, row := range input {
		rows[i] = models.ProductRow{
			ProductID: row.ProductID, Title: patch(row.Title), Tracked: row.Tracked, InventoryPolicy: row.InventoryPolicy,
			BackorderLimit: patch(row.BackorderLimit), LowStockThreshold: row.LowStockThreshold,
			MaxPerReservation: patch(row.MaxPerReservation), MaxPerOwner: patch(row.MaxPerOwner), OwnerPeriod: patch(row.OwnerPeriodSeconds),
			NextRestockAt: patch(row.NextRestockAt),
		}
	}
	return rows
}

func patch[T any](o graphql.Omittable[*T]) models.Patch[T] {
	value, given := o.ValueOK()
	return models.Patch[T]{Given: given, Value: value}
}
