package graph

import (
	"context"

	"onhand/graph/generated"
	"onhand/graph/loaders"
	"onhand/models"
)

// node finds what a global id names; nil when there is no such thing.
func (r *Resolver) node(ctx context.Context, id string) (generated.Node, error) {
	kind, key := models.ParseNodeID(id)
	switch kind {
	case models.NodeLocation:
		if l, ok := r.Store.Directory().Location(key); ok {
			return l, nil
		}
		return nil, nil
	case models.NodeMovement:
		return r.movement(ctx, key)
	case models.NodeReservation:
		found, err := loaders.Of(ctx).Reservation(ctx, key)
		if err != nil || found == nil {
			return nil, err
		}
		return found, nil
	}
	stock, err := stockOf(ctx, key)
	if err != nil || stock == nil {
		return nil, err
	}
	if kind == models.NodeStock {
		return stock, nil
	}
	return &stock.Product, nil
}
