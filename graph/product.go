package graph

import (
	"encoding/base64"

	"onhand/graph/generated"
	"onhand/models"
)

// pageOf checks the arguments of a connection: forwards or backwards, with a
// bounded size.
func pageOf(first *int, after *string, last *int, before *string) (models.Page, error) {
	var page models.Page
	switch {
	case first != nil && last != nil:
		return page, models.BadInput("first and last together make no page; give one")
	case last != nil:
		page.Last = *last
	case first != nil:
		page.First = *first
	default:
		page.First = models.PageSizeDefault
	}
	if n := max(page.First, page.Last); n < 1 || n > models.PageSizeMax || page.First < 0 || page.Last < 0 {
		return page, models.BadInput("a page has 1 to %d entries", models.PageSizeMax)
	}
	var err error
	if page.After, err = parseCursor(after); err != nil {
		return page, err
	}
	page.Before, err = parseCursor(before)
	return page, err
}

// A cursor is the key of its edge, encoded so that nobody builds on it.
func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

func parseCursor(cursor *string) (string, error) {
	if cursor == nil {
		return "", nil
	}
	id, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil || models.CheckID(string(id)) != "" || cursorOf(string(id)) != *cursor { // base64 has other spellings
		return "", models.BadInput("this is no cursor of ours: %.40q", *cursor)
	}
	return string(id), nil
}

func checkFilter(filter *models.ProductFilter) (models.ProductFilter, error) {
	if filter == nil {
		return models.ProductFilter{}, nil
	}
	if err := checkProductIDs(filter.IDs); err != nil {
		return *filter, err
	}
	if filter.TitleContains != "" {
		if problem := models.CheckID(filter.TitleContains); problem != "" {
			return *filter, models.BadInput("titleContains %s", problem)
		}
	}
	return *filter, nil
}

func connectionOf(page models.ProductPage) *generated.ProductConnection {
	c := &generated.ProductConnection{
		Edges: make([]*generated.ProductEdge, len(page.Products)), Nodes: make([]*models.Product, len(page.Products)),
		PageInfo: &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrev},
	}
	for i := range page.Products {
		product := &page.Products[i]
		c.Nodes[i] = product
		c.Edges[i] = &generated.ProductEdge{Cursor: cursorOf(product.ProductID), Node: product}
	}
	if n := len(c.Edges); n > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[n-1].Cursor
	}
	return c
}
