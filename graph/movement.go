package graph

import (
	"context"
	"strconv"
	"strings"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/history"
	"onhand/models/ids"
	"onhand/models/paging"
)

// movementsPageOf checks the arguments of stockMovements.
func movementsPageOf(first *int, after *string, last *int, before *string) (paging.MovementRequest, error) {
	page, err := pageOf(first, after, last, before)
	if err != nil {
		return paging.MovementRequest{}, err
	}
	movements := paging.MovementRequest{First: page.First, Last: page.Last}
	if movements.After, err = parseMovementKey(page.After); err == nil {
		movements.Before, err = parseMovementKey(page.Before)
	}
	return movements, err
}

// movementKey begins the key of an edge's cursor. It tells this cursor from the
// field StockMovement.cursor, which is for stockMoved.
const movementKey = "movement:"

func movementCursorOf(id int64) string { return cursorOf(movementKey + strconv.FormatInt(id, 10)) }

func parseMovementKey(key string) (int64, error) {
	if key == "" {
		return 0, nil
	}
	number, _ := strings.CutPrefix(key, movementKey)
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || id <= 0 || movementCursorOf(id) != cursorOf(key) {
		return 0, models.BadInput("this is no cursor of an edge of stockMovements: %.40q", cursorOf(key))
	}
	return id, nil
}

// hidesOrder reports whether a movement belongs to a reservation, and the caller has no
// order scope. Then its reference is hidden, which is that of the order, and the
// reservation's id, which may be the permission to act on it.
func hidesOrder(ctx context.Context, m *models.StockMovement) bool {
	return m.ReservationID != "" && !seesOrders(ctx)
}

// seesOrders reports whether the caller has an order scope.
func seesOrders(ctx context.Context) bool {
	return guard.Has(ctx, guard.ReadOrders) || guard.Has(ctx, guard.WriteOrders)
}

// movementFilter checks a filter of the ledger. To know that a reservation or an order exists
// is for the order service.
func movementFilter(ctx context.Context, f *generated.StockMovementFilter) (models.MovementFilter, error) {
	var narrow models.MovementFilter
	if f == nil {
		return narrow, nil
	}
	if f.ReservationID != nil && !guard.Has(ctx, guard.ReadOrders) {
		return narrow, &models.Fault{Code: models.CodeForbidden, Message: "filter.reservationId needs scope " + string(guard.ReadOrders)}
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
		problem := models.CheckID(*field.value)
		if field.to == &narrow.ProductID {
			problem = models.CheckProductID(*field.value)
		}
		if field.to == &narrow.Reference && *field.value != "" { // a free text, not an id
			problem = models.CheckText(*field.value, models.TextLengthMax)
		}
		if problem != "" {
			return narrow, models.BadInput("filter.%s %s", field.name, problem)
		}
		*field.to = *field.value
	}
	narrow.HidesOrders = narrow.Reference != "" && !seesOrders(ctx)
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

// endOf returns the last time that the API writes as it writes t. The API writes
// milliseconds, the database keeps microseconds. A filter "until t" must include
// every movement that the API shows at t.
func endOf(t time.Time) time.Time {
	return t.Truncate(time.Millisecond).Add(time.Millisecond - time.Microsecond)
}

func movementConnection(page paging.MovementPage) *generated.StockMovementConnection {
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

// movement finds a movement by what its global id names; nil when it is unknown.
func (r *Resolver) movement(ctx context.Context, id ids.Object) (*models.StockMovement, error) {
	return r.Store.Movement(ctx, id.MovementID, id.ProductID)
}

// histories reads how products changed, as one channel sees them, nil for unknown products.
func (r *Resolver) histories(ctx context.Context, request history.HistoryRequest, channel *string) ([]*history.StockHistory, error) {
	members, err := r.members(channel)
	if err != nil {
		return nil, err
	}
	found, err := r.Store.Histories(ctx, request)
	if err != nil || members == nil {
		return found, err
	}
	for i, h := range found {
		if h != nil {
			found[i] = h.In(members.Members)
		}
	}
	return found, nil
}
