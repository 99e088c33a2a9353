package graph

import (
	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/generated"
	"onhand/models"
)

// productFilter checks a filter of products.
func productFilter(filter *models.ProductFilter) (models.ProductFilter, error) {
	if filter == nil {
		return models.ProductFilter{}, nil
	}
	if err := checkProductIDs(filter.IDs); err != nil {
		return *filter, err
	}
	if filter.TitleContains != "" {
		if problem := models.CheckText(filter.TitleContains, models.TextLengthMax); problem != "" {
			return *filter, models.BadInput("titleContains %s", problem)
		}
	}
	return *filter, nil
}

// excludesAll reports whether a filter names an empty list of products.
func excludesAll(filter *models.ProductFilter) bool {
	return filter != nil && filter.IDs != nil && len(filter.IDs) == 0
}

func productConnection(page models.ProductPage) *generated.ProductConnection {
	c := &generated.ProductConnection{
		Edges: make([]*generated.ProductEdge, len(page.Products)), Nodes: pointersTo(page.Products),
		PageInfo: &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrev},
	}
	for i, product := range c.Nodes {
		c.Edges[i] = &generated.ProductEdge{Cursor: cursorOf(product.ProductID), Node: product}
	}
	if n := len(c.Edges); n > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[n-1].Cursor
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

// productRows converts the input of upsertProducts. A field that the input leaves out
// differs from one that it sets to null.
func productRows(input []*generated.UpsertProductRow) []models.ProductRow {
	rows := make([]models.ProductRow, len(input))
	for i, row := range input {
		rows[i] = models.ProductRow{
			ProductID: row.ProductID, Title: patch(row.Title), Tracked: row.Tracked, InventoryPolicy: row.InventoryPolicy,
			BackorderLimit: patch(row.BackorderLimit), LowStockThreshold: row.LowStockThreshold,
			MaxPerReservation: patch(row.MaxPerReservation), NextRestockAt: patch(row.NextRestockAt),
		}
	}
	return rows
}

func patch[T any](o graphql.Omittable[*T]) models.Patch[T] {
	value, given := o.ValueOK()
	return models.Patch[T]{Given: given, Value: value}
}
