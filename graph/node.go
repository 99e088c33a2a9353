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
	case models.NodeReservation:
		found, err := r.Store.Reservation(ctx, key)
		if err != nil || found == nil {
			return nil, err
		}
		return found, nil
	}
	if err := checkProductIDs([]string{key}); err != nil {
		return nil, err
	}
	stocks, err := loaders.Of(ctx).Stocks(ctx, []string{key})
	if err != nil || stocks[0] == nil {
		return nil, err
	}
	if kind == models.NodeStock {
		return stocks[0], nil
	}
	return &stocks[0].Product, nil
}

// pointers gives gqlgen the list it wants.
func pointers[T any](values []T) []*T {
	out := make([]*T, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

// idsOf collects the product ids of the parents that are there.
func idsOf[P any](parents []*P, id func(*P) string) []string {
	ids := make([]string, 0, len(parents))
	for _, p := range parents {
		if p != nil {
			ids = append(ids, id(p))
		}
	}
	return ids
}

// seated puts what was found for the parents that are there back into their
// places: a batch resolver may meet nil parents.
func seated[P, T any](parents []*P, found []*T) []*T {
	out := make([]*T, len(parents))
	next := 0
	for i, p := range parents {
		if p != nil {
			out[i] = found[next]
			next++
		}
	}
	return out
}
