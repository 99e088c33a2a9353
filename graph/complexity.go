package graph

import (
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/ids"
	"onhand/models/paging"
)

// complexity returns the cost of each field, for gqlgen's complexity limit. A field
// that reads or writes has a cost of its own. A list costs its element times the
// length that the list may have. guard.SelectionsSpreadMax keeps the sums far below
// the largest int.
func complexity() generated.ComplexityRoot {
	var c generated.ComplexityRoot
	costOfQueries(&c)
	costOfMutations(&c)
	c.Channel.Locations = listOf(guard.ComplexityList)
	c.Product.ChannelBuffers = listOf(guard.ComplexityList)
	c.Reservation.LineViews = listOf(guard.ComplexityLines)
	c.ReservationLine.AllocationViews = listOf(guard.ComplexityList)
	c.ReservationPayload.Errors = listOf(guard.ComplexityList)
	c.Stock.LevelViews = listOf(guard.ComplexityList)
	c.StockMovement.Changes = listOf(guard.ComplexityList)
	c.StockPayload.Errors = listOf(guard.ComplexityList)
	c.StockPayload.Stocks = listOf(guard.ComplexityLines)
	c.UpsertProductsPayload.Products = listOf(guard.ComplexityLines)
	c.UpsertProductsPayload.Errors = listOf(guard.ComplexityList)
	c.UpsertLocationsPayload.Locations = listOf(guard.ComplexityPlaces)
	c.UpsertLocationsPayload.Errors = listOf(guard.ComplexityList)
	c.UpsertChannelsPayload.Channels = listOf(guard.ComplexityPlaces)
	c.UpsertChannelsPayload.Errors = listOf(guard.ComplexityList)
	return c
}

func costOfQueries(c *generated.ComplexityRoot) {
	one := func(child int, _ string) int { return guard.ComplexityRead + child }
	c.Query.Location = one
	c.Query.Node = func(child int, id string) int {
		if n, ok := ids.Parse(id); ok && n.Moment != nil {
			return guard.ComplexityPage + child
		}
		return guard.ComplexityRead + child
	}
	c.Query.Product = one
	c.Query.Reservation = one
	c.Query.Stock = func(child int, _ string, _ *string, _ *int64, asOf *time.Time) int {
		if asOf != nil {
			return guard.ComplexityPage + child
		}
		return guard.ComplexityRead + child
	}
	c.Query.ServerTime = func(child int) int { return guard.ComplexityPage + child }
	c.Query.Channels = listOf(guard.ComplexityPlaces)
	c.Query.Locations = listOf(guard.ComplexityPlaces)
	c.Query.Stocks = func(child int, ids []string, _ *string) int {
		return guard.ComplexityRead + child*len(ids)
	}
	c.Query.Products = func(child int, first *int, _ *string, last *int, _ *string, _ *generated.ProductFilter, _ paging.ProductOrder) int {
		return guard.ComplexityPage + child*pageSize(first, last)
	}
	c.Query.Reservations = func(child int, first *int, _ *string, last *int, _ *string, _ *generated.ReservationFilter) int {
		return guard.ComplexityPage + child*pageSize(first, last)
	}
	c.Query.StockMovements = func(child int, first *int, _ *string, last *int, _ *string, _ *generated.StockMovementFilter) int {
		return guard.ComplexityPage + child*pageSize(first, last)
	}
}

// rawCosts has the costs of reads from arguments as they were sent, for most requests.
// costOfQueries says the same with the resolvers' arguments, which take longer to make.
func rawCosts() map[string]guard.RawCost {
	return map[string]guard.RawCost{
		"Query.stocks": func(child int, arguments map[string]any) (int, bool) {
			ids, ok := arguments["productIds"].([]any)
			return guard.ComplexityRead + child*len(ids), ok
		},
		"Query.stock": func(child int, arguments map[string]any) (int, bool) {
			return guard.ComplexityRead + child, arguments["asOf"] == nil
		},
		"Query.products": func(child int, arguments map[string]any) (int, bool) {
			first, ok := rawSize(arguments["first"])
			last, alsoOK := rawSize(arguments["last"])
			return guard.ComplexityPage + child*pageSize(first, last), ok && alsoOK
		},
	}
}

// rawSize reads the size of a page; nil for none.
func rawSize(sent any) (size *int, ok bool) {
	switch sent := sent.(type) {
	case nil:
		return nil, true
	case int64:
		n := int(sent)
		return &n, true
	}
	return nil, false
}

// pageSize returns how many entries a page may have.
func pageSize(first, last *int) int {
	n := models.PageSizeDefault
	for _, size := range []*int{first, last} {
		if size != nil {
			n = min(max(1, *size), models.PageSizeMax)
		}
	}
	return n
}

func costOfMutations(c *generated.ComplexityRoot) {
	cost := func(child int) int { return guard.ComplexityWrite + child }
	c.Mutation.AdjustStock = func(child int, _ generated.AdjustStockInput) int { return cost(child) }
	c.Mutation.SetStock = func(child int, _ generated.SetStockInput) int { return cost(child) }
	c.Mutation.MoveStock = func(child int, _ generated.MoveStockInput) int { return cost(child) }
	c.Mutation.UpsertProducts = func(child int, _ generated.UpsertProductsInput) int { return cost(child) }
	c.Mutation.UpsertLocations = func(child int, _ generated.UpsertLocationsInput) int { return cost(child) }
	c.Mutation.UpsertChannels = func(child int, _ generated.UpsertChannelsInput) int { return cost(child) }
	c.Mutation.ReserveStock = func(child int, _ generated.ReserveStockInput) int { return cost(child) }
	c.Mutation.UpdateReservation = func(child int, _ generated.UpdateReservationInput) int { return cost(child) }
	c.Mutation.ExtendReservation = func(child int, _ generated.ExtendReservationInput) int { return cost(child) }
	c.Mutation.ReleaseReservation = func(child int, _ generated.ReleaseReservationInput) int { return cost(child) }
	c.Mutation.CommitReservation = func(child int, _ generated.CommitReservationInput) int { return cost(child) }
	c.Mutation.FulfillReservation = func(child int, _ generated.FulfillReservationInput) int { return cost(child) }
	c.Mutation.CancelReservation = func(child int, _ generated.CancelReservationInput) int { return cost(child) }
}

// listOf returns the cost of a list without arguments, which counts as n elements.
func listOf(n int) func(child int) int { return func(child int) int { return child * n } }
