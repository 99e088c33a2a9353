package graph

import (
	"context"
	"strconv"
	"strings"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
)

// movementsPageOf checks the arguments of a page of the ledger.
func movementsPageOf(first *int, after *string, last *int, before *string) (models.MovementsPage, error) {
	page, err := pageOf(first, after, last, before)
	if err != nil {
		return models.MovementsPage{}, err
	}
	numbers := models.MovementsPage{First: page.First, Last: page.Last}
	if numbers.After, err = parseMovementCursor(page.After); err == nil {
		numbers.Before, err = parseMovementCursor(page.Before)
	}
	return numbers, err
}

// The cursor of an edge of the ledger says that it is one: a movement's own
// cursor, which is for stockMoved, looks much like it.
const movementCursor = "movement:"

func movementCursorOf(id int64) string { return cursorOf(movementCursor + strconv.FormatInt(id, 10)) }

func parseMovementCursor(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	number, _ := strings.CutPrefix(cursor, movementCursor)
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 || movementCursorOf(id) != cursorOf(cursor) {
		return 0, models.BadInput("this is no cursor of an edge of stockMovements: %.40q", cursorOf(cursor))
	}
	return id, nil
}

// movementFilter checks a filter of the ledger.
func movementFilter(f *generated.StockMovementFilter) (models.MovementFilter, error) {
	var narrow models.MovementFilter
	if f == nil {
		return narrow, nil
	}
	for _, field := range []struct {
		name  string
		value *string
		to    *string
	}{
		{"productId", f.ProductID, &narrow.ProductID},
		{"locationId", f.LocationID, &narrow.LocationID},
		{"reference", f.Reference, &narrow.Reference},
		{"reservationId", f.ReservationID, &narrow.ReservationID},
	} {
		if field.value == nil {
			continue
		}
		if problem := models.CheckID(*field.value); problem != "" {
			return narrow, models.BadInput("filter.%s %s", field.name, problem)
		}
		*field.to = *field.value
	}
	if f.State != nil {
		narrow.State = *f.State
	}
	if f.Reason != nil {
		narrow.Reason = *f.Reason
	}
	narrow.Since = f.Since
	if f.Until != nil {
		until := endOf(*f.Until)
		narrow.Until = &until
	}
	return narrow, nil
}

// endOf is the last moment that the API writes as t does: to the millisecond.
// What is asked for until then includes what it says was then.
func endOf(t time.Time) time.Time {
	return t.Truncate(time.Millisecond).Add(time.Millisecond - time.Microsecond)
}

func movementConnection(page models.MovementPage) *generated.StockMovementConnection {
	c := &generated.StockMovementConnection{
		Edges: make([]*generated.StockMovementEdge, len(page.Movements)), Nodes: page.Movements,
		PageInfo: &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrev},
	}
	for i, m := range page.Movements {
		c.Edges[i] = &generated.StockMovementEdge{Cursor: movementCursorOf(m.MovementID), Node: m}
	}
	if page.Start > 0 {
		start := movementCursorOf(page.Start)
		c.PageInfo.StartCursor = &start
	}
	if page.End > 0 {
		end := movementCursorOf(page.End)
		c.PageInfo.EndCursor = &end
	}
	return c
}

// movement finds a movement by the key of its global id.
func (r *Resolver) movement(ctx context.Context, key string) (generated.Node, error) {
	if _, err := guard.Require(ctx, guard.ReadInventory); err != nil {
		return nil, err
	}
	movementID, productID, ok := models.ParseMovementKey(key)
	if !ok || models.CheckID(productID) != "" {
		return nil, nil
	}
	found, err := r.Store.Movement(ctx, movementID, productID)
	if err != nil || found == nil {
		return nil, err
	}
	return found, nil
}

// productsOf are the products of stocks, nil where there is none.
func productsOf(stocks []*models.Stock) []*models.Product {
	products := make([]*models.Product, len(stocks))
	for i, s := range stocks {
		if s != nil {
			products[i] = &s.Product
		}
	}
	return products
}
