package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/models"
)

// changeSettings sends a settings write of somebody who may.
func (r *Resolver) changeSettings(ctx context.Context, w models.Write) (models.WriteResult, error) {
	if _, err := guard.Require(ctx, guard.WriteInventory); err != nil {
		return models.WriteResult{}, err
	}
	return r.Store.Write(ctx, w)
}

// productRows tells what was left out from what was cleared.
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

// locationsOf are the locations of a directory that was read after they were
// written.
func (r *Resolver) locationsOf(ids []string) []*models.Location {
	directory, out := r.Store.Directory(), []*models.Location{}
	for _, id := range ids {
		if l, ok := directory.Location(id); ok {
			out = append(out, &l)
		}
	}
	return out
}

func (r *Resolver) channelsOf(ids []string) []*models.Channel {
	out := []*models.Channel{}
	for _, c := range r.Store.Directory().Channels {
		if slices.Contains(ids, c.ChannelID) {
			out = append(out, &c)
		}
	}
	return out
}
