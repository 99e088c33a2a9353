package paging

import (
	"encoding/base64"
	"strings"

	"onhand/models"
)

// AppendCursor appends the cursor of an edge: its key in base64, so that clients treat
// it as opaque. It needs no escapes in JSON.
func AppendCursor(b []byte, key string) []byte {
	return base64.RawURLEncoding.AppendEncode(b, []byte(key))
}

// productCursor begins the key of a product's cursor, as those of other lists begin with
// their names.
const productCursor = "product:"

// AppendProductCursor appends the cursor of a product.
func AppendProductCursor(b []byte, id string) []byte { return AppendCursor(b, productCursor+id) }

// ProductOfCursor is the id of a product's key; ok is false for a key of another list.
func ProductOfCursor(key string) (id string, ok bool) { return strings.CutPrefix(key, productCursor) }

// ProductOrder is the order of a list of products.
type ProductOrder string

// The orders of products.
const (
	ByProductID ProductOrder = "PRODUCT_ID"
	// ByTitle orders by title and then by id. A product without a title comes first.
	ByTitle ProductOrder = "TITLE"
	// ByQuantity orders by the available total over the places of the filter and then by id.
	// Products that are not tracked come last.
	ByQuantity ProductOrder = "QUANTITY"
)

// ProductQuery narrows and orders a list of products. A zero field does not filter.
type ProductQuery struct {
	// IDs keeps only these products, at most StocksMax of them.
	IDs []string
	// TitleContains keeps products whose title contains this text, in any case.
	TitleContains string
	// Search keeps products whose title or id contains this text, in any case.
	Search string
	// Tracked keeps products that are tracked, or those that are not.
	Tracked *bool
	// LocationID and Channel keep products with a level at that location, or at one of
	// the channel's locations.
	LocationID, Channel string
	// Statuses keeps products with one of these statuses: over the location, else over
	// the channel, else over all locations.
	Statuses []models.StockStatus
	// View narrows a stock to the locations that Statuses are over; nil for all.
	View func(*models.Stock) *models.Stock
	// Members are the locations of Channel.
	Members map[string]bool
	// Buffer is what View leaves out of a total, unless a product has a buffer of its own.
	Buffer int
	// Order is ByProductID when empty.
	Order ProductOrder
}

// Searches reports whether products must be compared with the filter one by one. Ids
// alone name so few that this costs nothing.
func (f ProductQuery) Searches() bool {
	return len(f.IDs) == 0 && (f.TitleContains != "" || f.Search != "" || f.Tracked != nil || f.LocationID != "" || f.Channel != "" || len(f.Statuses) > 0)
}

// Request asks for a part of a list in id order: forwards (First, After) or backwards
// (Last, Before), never both. After and Before are ids, not offsets.
type Request struct {
	First, Last   int
	After, Before string
}

// ProductPage is the answer to a Request for products, in the order asked.
//
// The work for one page is bounded. Where few products match the filter, a page can
// have fewer products than asked for, or none, and a next page all the same.
type ProductPage struct {
	Products []models.Product
	// Stocks are those of Products, if they were read for the page; nil otherwise.
	Stocks           []*models.Stock
	HasNext, HasPrev bool
	// Start and End are the ids to continue from; empty where the list is empty.
	Start, End string
	// Total is the length of the list where this page has all of it; nil otherwise.
	Total *int
}
