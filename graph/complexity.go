package graph

import (
	"context"

	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
	"onhand/models/history"
	"onhand/models/ids"
)

// complexity returns the cost of lists without arguments: their element times the length
// that they may have. validation.DepthMax keeps the products far below the largest int.
func complexity() generated.ComplexityRoot {
	var c generated.ComplexityRoot
	c.Query.Channels = listOf(guard.ComplexityPlaces)
	c.Query.Locations = listOf(guard.ComplexityPlaces)
	c.AuditOperations.Differences = listOf(guard.ComplexityList)
	c.Channel.Locations = listOf(guard.ComplexityList)
	c.Product.ChannelBuffers = listOf(guard.ComplexityList)
	c.Reservation.LineViews = listOf(guard.ComplexityLines)
	c.ReservationLine.AllocationViews = listOf(guard.ComplexityList)
	c.ReservationPayload.Errors = listOf(guard.ComplexityList)
	c.Stock.LevelViews = listOf(guard.ComplexityList)
	c.StockHistoryPoint.Levels = listOf(guard.ComplexityList)
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

// listOf returns the cost of a list without arguments, which counts as n elements.
func listOf(n int) func(child int) int { return func(child int) int { return child * n } }

// argumentCosts has the costs of the fields that read or write. They see arguments that
// are coerced: a list is a []any, or one element of it.
func argumentCosts() map[string]guard.ArgumentCost {
	costs := map[string]guard.ArgumentCost{
		"Query.location":    costOfOne,
		"Query.product":     costOfOne,
		"Query.reservation": costOfOne,
		"Query.node": func(child int, arguments map[string]any) guard.Cost {
			id, _ := arguments["id"].(string)
			if n, ok := ids.Parse(id); ok && n.Moment != nil {
				return guard.Cost{Complexity: guard.ComplexityPage + child, Keys: 1}
			}
			return costOfOne(child, nil)
		},
		"Query.stock": func(child int, arguments map[string]any) guard.Cost {
			if arguments["asOf"] != nil {
				return guard.Cost{Complexity: guard.ComplexityPage + child, Keys: 1}
			}
			return costOfOne(child, nil)
		},
		"Query.stocks":    costOfMany("productIds"),
		"Query._entities": costOfEntities,
		"Query._service": func(child int, _ map[string]any) guard.Cost {
			return guard.Cost{Complexity: guard.ComplexityRead + child}
		},
		"Query.products":       costOfPage,
		"Query.reservations":   costOfPage,
		"Query.stockMovements": costOfPage,
		"Query.stockHistory":   costOfHistory,
		"Query.stockHistories": costOfHistory,
		"Query.shop":           func(child int, _ map[string]any) guard.Cost { return guard.Cost{Complexity: 1 + child} },
		"Query.operations": func(child int, _ map[string]any) guard.Cost {
			return guard.Cost{Complexity: guard.ComplexityPage + child}
		},
		"Query.serverTime": func(child int, _ map[string]any) guard.Cost {
			return guard.Cost{Complexity: guard.ComplexityPage + child}
		},
		"Subscription.stockChanged": costOfMany("productIds"),
	}
	for _, write := range []string{
		"adjustStock", "setStock", "moveStock", "upsertProducts", "upsertLocations", "upsertChannels", "reserveStock", "updateReservation",
		"extendReservation", "releaseReservation", "claimReservation", "commitReservation", "fulfillReservation", "cancelReservation",
	} {
		costs["Mutation."+write] = costOfWrite
	}
	return costs
}

func costOfOne(child int, _ map[string]any) guard.Cost {
	return guard.Cost{Complexity: guard.ComplexityRead + child, Keys: 1}
}

// costOfMany is the cost of a field that reads what this argument lists.
func costOfMany(argument string) guard.ArgumentCost {
	return func(child int, arguments map[string]any) guard.Cost {
		n := lengthOf(arguments[argument])
		return guard.Cost{Complexity: guard.ComplexityRead + child*n, Keys: n}
	}
}

// complexityHistory is the cost of a product's part of the ledger.
const complexityHistory = 50

// costOfHistory is the cost of a field that reads the ledger of products at so many moments.
// They are read together.
func costOfHistory(child int, arguments map[string]any) guard.Cost {
	products := max(1, lengthOf(arguments["productIds"]))
	points, _ := arguments["points"].(int64)
	points = min(max(1, points), history.PointsMax)
	return guard.Cost{Complexity: guard.ComplexityPage + complexityHistory*products + child*products*int(points), Keys: products}
}

// costOfEntities is the cost of entities: those of a past moment are read one by one.
func costOfEntities(child int, arguments map[string]any) guard.Cost {
	list, many := arguments["representations"].([]any)
	if !many {
		list = []any{arguments["representations"]}
	}
	cost := guard.Cost{Complexity: guard.ComplexityRead + child*len(list), Keys: len(list)}
	if len(list) <= guard.EntitiesMax { // of more, none is read
		keys, _ := federation.Keys(list)
		for _, key := range keys {
			if key.Object.Moment != nil {
				cost.Complexity += guard.ComplexityPage
			}
		}
	}
	return cost
}

// subgraphCosts are the costs that gateways are told.
func subgraphCosts() federation.Costs {
	costs := argumentCosts()
	reference := generated.NewExecutableSchema(generated.Config{Complexity: complexity()})
	return federation.Costs{
		Weight: func(coordinate string) int {
			if cost := costs[coordinate]; cost != nil {
				return cost(0, nil).Complexity
			}
			return 0
		},
		Length: func(typeName, fieldName string) int {
			if n, ok := reference.Complexity(context.Background(), typeName, fieldName, 1, nil); ok {
				return n
			}
			return 0
		},
		Page: models.PageSizeDefault,
	}
}

// costOfPage is the cost of a field that reads a page.
func costOfPage(child int, arguments map[string]any) guard.Cost {
	cost := guard.Cost{Complexity: guard.ComplexityPage + child*pageSize(arguments)}
	if filter, ok := arguments["filter"].(map[string]any); ok {
		cost.Keys = lengthOf(filter["ids"])
	}
	return cost
}

// costOfWrite is the cost of a transaction with its rows or lines. The lists of the
// answer count as guard.ComplexityLines elements, and as more where there are more rows.
func costOfWrite(child int, arguments map[string]any) guard.Cost {
	input, _ := arguments["input"].(map[string]any)
	n := lengthOf(input["rows"]) + lengthOf(input["lines"])
	times := max(1, (n+guard.ComplexityLines-1)/guard.ComplexityLines)
	return guard.Cost{Complexity: guard.ComplexityWrite + n + child*times, Keys: n}
}

// lengthOf is the length of a list.
func lengthOf(list any) int {
	switch list := list.(type) {
	case nil:
		return 0
	case []any:
		return len(list)
	}
	return 1
}

// pageSize returns how many entries a page may have.
func pageSize(arguments map[string]any) int {
	n := models.PageSizeDefault
	for _, name := range []string{"first", "last"} {
		if size, ok := arguments[name].(int64); ok {
			n = int(min(max(1, size), models.PageSizeMax))
		}
	}
	return n
}
