package database

import (
	"maps"
	"slices"

	"onhand/models"
)

// settings are the products, locations and channels that a write makes or
// changes, by id.
type settings struct {
	products  map[string]models.Product
	locations map[string]models.Location
	channels  map[string]models.Channel
	// emptied are channels whose locations are listed anew.
	emptied map[string]bool
}

// Alone tells the writes that go alone, those that change settings: the other
// writes of their batch would have been decided on what they change.
func Alone(w models.Write) bool {
	switch w.(type) {
	case models.UpsertProducts, models.UpsertLocations, models.UpsertChannels:
		return true
	}
	return false
}

// inOrder lists what is in a map by id, so that all writers lock in one order.
func inOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, id := range sortedKeys(m) {
		out = append(out, m[id])
	}
	return out
}

// settingsRows decides the rows of a settings write one by one. ok is false
// when one bad row rejects them all.
func settingsRows(w models.Bulk, row func(i int) []models.UserError) (errs []models.UserError, ok bool) {
	bad := models.BadRows(w)
	for i := range w.Size() {
		found := bad[i]
		if found == nil {
			found = row(i)
		}
		errs = append(errs, found...)
	}
	return errs, len(errs) == 0 || w.Policy() == models.RejectFailedRows
}

func (d *decider) upsertProducts(w models.UpsertProducts) models.WriteResult {
	next := make(map[string]models.Product, len(w.Rows))
	errs, ok := settingsRows(w, func(i int) []models.UserError {
		row := w.Rows[i]
		next[row.ProductID] = row.ApplyTo(d.products[row.ProductID])
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.settings.products = next
		for _, p := range inOrder(next) {
			result.Stocks = append(result.Stocks, &models.Stock{Product: models.Product{ProductID: p.ProductID}})
		}
	}
	return result
}

func (d *decider) upsertLocations(w models.UpsertLocations) models.WriteResult {
	next := make(map[string]models.Location, len(w.Rows))
	errs, ok := settingsRows(w, func(i int) []models.UserError {
		row := w.Rows[i]
		var old *models.Location
		if known, there := d.locations[row.LocationID]; there {
			old = &known
		}
		next[row.LocationID] = row.ApplyTo(old)
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.settings.locations = next
		result.Locations = slices.Sorted(maps.Keys(next))
	}
	return result
}

func (d *decider) upsertChannels(w models.UpsertChannels) models.WriteResult {
	next, emptied := make(map[string]models.Channel, len(w.Rows)), map[string]bool{}
	errs, ok := settingsRows(w, func(i int) (errs []models.UserError) {
		row := w.Rows[i]
		for j, id := range row.LocationIDs {
			if _, known := d.locations[id]; !known {
				errs = append(errs, models.NotFound(models.InputPath("rows", i, "locationIds", j), "no location %q", id))
			}
		}
		if errs != nil {
			return errs
		}
		var old *models.Channel
		if known := d.channels[row.ChannelID]; known != nil {
			old = &known.Channel
		}
		next[row.ChannelID] = row.ApplyTo(old)
		emptied[row.ChannelID] = row.LocationIDs != nil
		return nil
	})
	result := models.WriteResult{Errors: errs}
	if ok {
		d.settings.channels, d.settings.emptied = next, emptied
		result.Channels = slices.Sorted(maps.Keys(next))
	}
	return result
}
