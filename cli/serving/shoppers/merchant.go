package shoppers

import (
	"context"
	"crypto/rand"
	random "math/rand/v2"
)

const (
	levelsQuery = `query SimulatedShelf($ids: [ID!]!) {
		stocks(productIds: $ids) { productId levels { location { locationId } available incoming } }
	}`
	receiveMutation = `mutation SimulatedDelivery($key: String!, $rows: [AdjustStockRow!]!) {
		adjustStock(input: {idempotencyKey: $key, reason: RECEIVED, referenceDocumentUri: "simulated-delivery", rows: $rows, errorPolicy: REJECT_FAILED_ROWS}) { errors { message code } }
	}`
)

const (
	// lookedAtMax is how many places the merchant looks at in one round.
	lookedAtMax = 12
	// deliveredMax is how many places one delivery is for.
	deliveredMax = 3
)

// shelfLevel is what a place has.
type shelfLevel struct{ available, incoming int }

// receive looks at some places, and tops up those that are low.
func (s *Simulation) receive(ctx context.Context) error {
	places := make([]shelfPlace, 0, lookedAtMax)
	ids := make([]string, 0, lookedAtMax)
	for range lookedAtMax {
		place := s.shelf[random.IntN(len(s.shelf))]
		places, ids = append(places, place), append(ids, place.product)
	}
	levels, err := s.levels(ctx, ids)
	if err != nil {
		return err
	}
	var rows []any
	seen := map[shelfPlace]bool{}
	for _, place := range places {
		level, known := levels[shelfPlace{product: place.product, location: place.location}]
		if !known || seen[place] || len(rows) == deliveredMax || level.available*10 > place.units*6 || level.available >= place.units {
			continue
		}
		seen[place] = true
		rows = append(rows, map[string]any{"productId": place.product, "locationId": place.location, "delta": place.units - level.available})
	}
	if len(rows) == 0 {
		return nil
	}
	_, err = s.change(ctx, receiveMutation, map[string]any{"key": rand.Text(), "rows": rows})
	return err
}

// levels reads what places have, by product and location.
func (s *Simulation) levels(ctx context.Context, ids []string) (map[shelfPlace]shelfLevel, error) {
	var answer struct {
		Stocks []*struct {
			ProductID string
			Levels    []struct {
				Location            struct{ LocationID string }
				Available, Incoming int
			}
		}
	}
	if err := s.api.ask(ctx, levelsQuery, map[string]any{"ids": ids}, &answer); err != nil {
		return nil, err
	}
	levels := map[shelfPlace]shelfLevel{}
	for _, stock := range answer.Stocks {
		if stock == nil {
			continue
		}
		for _, level := range stock.Levels {
			levels[shelfPlace{product: stock.ProductID, location: level.Location.LocationID}] = shelfLevel{level.Available, level.Incoming}
		}
	}
	return levels, nil
}
